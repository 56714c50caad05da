"""The page of `measure`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from varshift._draw.figures import measured, shortened
from varshift._draw.page.bodies.plain import body
from varshift._draw.page.bodies.shared import (
    EXPLAIN,
    REPAIR,
    add_routes,
    add_what_if,
    direct_routes,
    median,
    middle_channel,
    preset,
    sources,
)
from varshift._draw.page.parts import (
    Body,
    Cell,
    Column,
    Part,
    Table,
    counted,
    name_cell,
    names_cell,
    number_cell,
)
from varshift._draw.page.pictures import Cloud, Series, boxes, by_depth, scatter
from varshift.results import Measurement, Route, Site

__all__: list[str] = []

_SEVERE = 1.1
_CLOUDS = 6


@body.register
def _measurement(result: Measurement) -> Body:
    made = Body(
        _summary(result),
        missing=[EXPLAIN, REPAIR],
        facts={"samples": f"{result.samples:,}", "batches": f"{result.batches:,}"},
        skipped=result.skipped,
    )
    sites = list(result.sites.values())
    known = [site for site in sites if site.severity == site.severity]
    made.add(
        "depth",
        "Training against test, norm by norm",
        "The same batches, passed twice: noise on, as in training, and noise off, as at test. "
        "Where the two part, a norm divides at test by a number it learned "
        + ("under noise." if _draws(result) else "in training: from other statistics upstream."),
        _depth(known),
    )
    made.add("sites", "All norms", "", [_table(result)] if sites else [])
    made.add(
        "channels",
        "Channel by channel",
        "A layer's figure is a median; here is how its channels scatter about it. On the level "
        "(or the diagonal) nothing shifts.",
        _channels(known),
    )
    add_routes(made, result.structure, {site.path: site.severity for site in sites})
    add_what_if(made, _presets(result))
    return made


def _draws(result: Measurement) -> bool:
    return any(noise.active for noise in result.structure.noises)


def _summary(result: Measurement) -> list[str]:
    sites = sorted(result.sites.values(), key=lambda site: -_sure(site))
    passed = (
        f"{counted(len(sites), 'norm')} measured over {counted(result.samples, 'sample')} in "
        f"{counted(result.batches, 'batch')}."
    )
    blind = [site.path for site in sites if site.severity != site.severity]
    if blind:
        passed += (
            f" {counted(len(blind), 'norm')} could not be judged: all channels of "
            f"{shortened(blind[0], 80)} are dead."
        )
    severe = [site for site in sites if _sure(site) > _SEVERE]
    if not severe:
        return [
            "No norm's variance shifts by more than 10\u00a0%, two standard errors aside.",
            passed,
        ]
    verb = "is" if len(severe) == 1 else "are"
    said = [
        f"{len(severe)} of {counted(len(sites), 'norm')} {verb} shifted by more than 10\u00a0%, "
        f"beyond two standard errors. The worst: {_worst(result, severe[0])}"
    ]
    hit = next((site for site in severe if result.structure.behind(site.path)), None)
    if hit is not None and hit is not severe[0]:
        said.append(f"The worst right behind noise: {_worst(result, hit)}")
    if not _draws(result):
        said.append(
            "No noise draws in this model, so none is the cause: the gap comes from stored "
            "statistics that do not fit (vs.explain tells which)."
        )
    return [*said, passed]


def _worst(result: Measurement, site: Site) -> str:
    words = (
        f"{shortened(site.path, 80)}. At test the variance of its input is "
        f"{measured(site.shift, site.shift_se)} times that in training "
        f"(severity {measured(site.severity, site.severity_se, 2)})"
    )
    behind = sources(result.structure, site.path)
    if behind:
        return f"{words}; directly behind: {behind}."
    through = [route.noise for route in result.structure.routes if route.norm == site.path]
    if through:
        return f"{words}; noise comes through earlier norms, from {shortened(through[-1], 60)}."
    return f"{words}."


def _sure(site: Site) -> float:
    if site.by_batch:
        return 0.0
    error = site.severity_se if site.severity_se == site.severity_se else 0.0
    return site.severity - 2 * error if site.severity == site.severity else 0.0


def _depth(sites: list[Site]) -> list[Part]:
    if not sites:
        return []
    names = [site.path for site in sites]
    worst = sorted(range(len(sites)), key=lambda index: -_sure(sites[index]))[:3]
    kinds = (("stored", "stored"), ("train", "training"), ("test", "test"))
    series = [
        Series(role, word, [median(getattr(site, role).var, site.live) for site in sites])
        for role, word in kinds
    ]
    variance = by_depth(
        names,
        series,
        "variance of the norm's input, median over channels",
        "Variance of each norm's input in training, at test, and as stored",
        gap=True,
    )
    shift = Series(
        "test",
        "Δ",
        [site.shift for site in sites],
        [site.shift_interval[0] for site in sites],
        [site.shift_interval[1] for site in sites],
    )
    ratio = by_depth(
        names,
        [shift],
        "shift Δ = variance at test ÷ variance in training, with 95 % intervals",
        "Shift at each norm",
        reference=1.0,
        named=worst,
    )
    return [variance, ratio]


def _channels(sites: list[Site]) -> list[Part]:
    if not sites:
        return []
    spread = boxes(
        [site.path for site in sites],
        [site.delta for site in sites],
        "Δ per channel: median, middle half, 5 to 95 %",
        "Scatter of the shift over the channels of each norm",
    )
    worst = sorted(sites, key=lambda site: -_sure(site))[:_CLOUDS]
    clouds = [
        scatter(Cloud(site.path, site.train.var[site.live], site.test.var[site.live]))
        for site in worst
        if bool(site.live.any())
    ]
    return [spread, *clouds]


def _presets(result: Measurement) -> Iterator[dict[str, Any]]:
    """Norms right behind one noise of known law, the worst first.

    The calculator has the law of that noise alone; what was measured stands beside it.
    """
    direct = direct_routes(result.structure)
    for site in sorted(result.sites.values(), key=lambda site: -_sure(site)):
        path = site.path
        routes = direct.get(path, [])
        channel = middle_channel(site.delta)
        if len(routes) != 1 or routes[0].placements != ("a",) or channel is None:
            continue
        tau = result.structure.noise(routes[0].noise).tau
        if tau is not None:
            mean, var = float(site.test.mean[channel]), float(site.test.var[channel])
            found = preset(path, mean, var, tau, float(site.delta[channel]))
            if found:
                yield found


def _table(result: Measurement) -> Table:
    columns = [
        Column("#", "place in the model"),
        Column("norm", numeric=False),
        Column("Δ test/train", "variance at test ÷ variance in training, ± one standard error"),
        Column("severity", "Δ or 1/Δ, whichever is larger; median over channels"),
        Column("paper's", "ratio of channel means against the stored variance, as Li et al."),
        Column("stored", "running_var, median over live channels"),
        Column("training", "variance with noise on"),
        Column("test", "variance with noise off"),
        Column("channels", "and how many of them are dead"),
        Column("noise directly behind", numeric=False),
    ]
    direct = direct_routes(result.structure)
    sites = enumerate(result.sites.values(), 1)
    return Table(
        counted(len(result.sites), "norm"),
        columns,
        [_row(index, site, direct.get(site.path, [])) for index, site in sites],
    )


def _row(index: int, site: Site, direct: list[Route]) -> list[Cell]:
    dead = f" ({len(site.dead)} dead)" if site.dead else ""
    return [
        number_cell(index),
        name_cell(site.path),
        Cell(measured(site.shift, site.shift_se), site.shift),
        Cell(measured(site.severity, site.severity_se, 2), site.severity),
        Cell(measured(site.paper, site.paper_se, 2), site.paper),
        *(
            number_cell(median(getattr(site, side).var, site.live))
            for side in ("stored", "train", "test")
        ),
        Cell(f"{len(site.delta)}{dead}", float(len(site.delta))),
        names_cell(route.noise for route in direct),
    ]
