"""The document of `measure`: how far the variance shifts, norm by norm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from varshift._counting import counted
from varshift._draw.document import Cell, Column, Document, Leaf, Part, Row, Table, Tree
from varshift._draw.documents.base import document
from varshift._draw.documents.cells import by_reason, error, name, named, number
from varshift._draw.documents.parts import (
    EXPLAIN,
    GRADED,
    REPAIR,
    SEVERITY,
    SHIFT,
    add_calculator,
    add_routes,
    behind_cell,
    direct_routes,
    preset,
    shifting,
    sources,
)
from varshift._draw.figures import figure, measured
from varshift._draw.pictures.described import Boxes, Cloud, Depth, Series
from varshift.results import Measurement, Route, Site
from varshift.results.grading import worst_grade

__all__: list[str] = []

_CLOUDS = 6  # norms whose channels are drawn one by one
_SIDES = {"stored": "stored", "train": "training", "test": "test"}
_UNTRAINED = (
    "No norm has been trained, though: these figures are of weights and statistics as they were "
    "made. Give the trained ones (--checkpoint); check sizes an untrained model."
)


@document.register
def _measurement(result: Measurement) -> Document:
    sites = list(result.sites.values())
    ranked = sorted((site for site in sites if _ranks(site)), key=lambda site: -site.sure)
    shifted = [site for site in ranked if site.grade != "none"]
    made = Document(
        _head(result, ranked),
        tone=worst_grade(*(site.grade for site in sites)) if ranked else None,
        detail=_UNTRAINED if sites and all(s.stored.untouched for s in sites) else "",
        points=[_point(result, site) for site in shifted[:3]],
        picture=_depth(sites, ranked) if ranked else None,
        meanings=[f"{GRADED}. ±: one standard error."] if sites else [],
        following="Next: explain (whose fault it is), repair (what helps)." if shifted else "",
        notes=[
            *by_reason(_dead(result)),
            *by_reason(result.skipped, "not measured, "),
            *result.notes,
        ],
        missing=[EXPLAIN, REPAIR],
        facts={"samples": f"{result.samples:,}", "batches": f"{result.batches:,}"},
    )
    title = (
        f"Shift of the variance over {counted(result.samples, 'sample')} in "
        f"{counted(result.batches, 'batch')}"
    )
    lead = (
        "The same batches passed twice: noise on, as in training, and noise off, as at test. Where "
        "Δ is not 1, the norm divides at test by a number that it learned in training."
    )
    parts: list[Part] = [made.picture] if made.picture else []
    if sites:
        parts += [_tree(result), _table(result, title)]
    made.add("depth", "Shift, norm by norm", lead, parts)
    made.add(
        "channels",
        "Channel by channel",
        "A norm's figure is a median; here is how its channels scatter about it. On the level (or "
        "the diagonal) nothing shifts.",
        _channels(ranked, sites),
    )
    add_routes(
        made,
        result.structure,
        {site.path: site.severity for site in sites},
        grades={site.path: site.grade for site in sites},
    )
    add_calculator(made, _presets(result, ranked))
    return made


def _ranks(site: Site) -> bool:
    return site.severity == site.severity


def _head(result: Measurement, ranked: list[Site]) -> str:
    if not ranked:
        return "No norm could be measured."
    worst = ranked[0]
    how = "the worst" if worst.grade != "none" else "the largest shift"
    return (
        f"{shifting((site.grade for site in ranked), len(result.sites))}; {how} is at "
        f"{named(worst.path)}, where the variance at test is "
        f"{measured(worst.shift, worst.shift_se)} times that in training."
    )


def _point(result: Measurement, site: Site) -> str:
    said = (
        f"{named(site.path)}: Δ {measured(site.shift, site.shift_se)}, severity "
        f"{measured(site.severity, site.severity_se, 2)} ({site.grade})"
    )
    behind = sources(result.structure, site.path)
    if behind:
        return f"{said}; directly behind {behind}"
    through = [route.noise for route in result.structure.routes if route.norm == site.path]
    return (
        f"{said}; noise comes through earlier norms, from {named(through[-1])}" if through else said
    )


def _dead(result: Measurement) -> dict[str, str]:
    return {
        path: f"{counted(len(site.dead), 'dead channel')} left out"
        for path, site in result.sites.items()
        if site.dead
    }


def _depth(sites: list[Site], ranked: list[Site]) -> Depth:
    ends = [site.shift_interval for site in sites]
    named = [sites.index(site) for site in ranked[:3] if site.grade != "none"]
    return Depth(
        "Shift of the variance at each norm, in the order data reaches them",
        "Δ = variance at test ÷ variance in training, 95 % intervals",
        [site.path for site in sites],
        [
            Series(
                "test",
                "Δ",
                [site.shift for site in sites],
                [low for low, _ in ends],
                [high for _, high in ends],
                [site.grade for site in sites],
            )
        ],
        named=named,
    )


def _tree(result: Measurement) -> Tree:
    direct = direct_routes(result.structure)
    return Tree([_leaf(result, site, direct) for site in result.sites.values()], "Δ test/train")


def _leaf(result: Measurement, site: Site, direct: dict[str, list[Route]]) -> Leaf:
    low, high = site.shift_interval
    behind = sources(result.structure, site.path) if direct.get(site.path) else "none"
    spread, variances = site.spread, site.variances
    card = [
        ("Δ test/train", measured(site.shift, site.shift_se)),
        ("severity", f"{measured(site.severity, site.severity_se, 2)}, {site.grade}"),
        ("paper's figure", measured(site.paper, site.paper_se, 2)),
        *((f"variance {word}", figure(variances[side], 4)) for side, word in _SIDES.items()),
        ("channels", _channels_of(site)),
        ("Δ over channels, 5 to 95 %", f"{figure(spread[0], 3)} to {figure(spread[-1], 3)}"),
        ("noise directly behind", behind),
    ]
    return Leaf(
        site.path, site.grade, measured(site.shift, site.shift_se), site.shift, low, high, card
    )


def _channels_of(site: Site) -> str:
    return f"{len(site.delta)} ({len(site.dead)} dead)" if site.dead else str(len(site.delta))


def _table(result: Measurement, title: str) -> Table:
    columns = [
        Column("norm", numeric=False),
        SHIFT,
        SEVERITY,
        Column("grade", numeric=False, wide=True),
        Column("paper's", "ratio of channel means against the stored variance, as Li et al."),
        Column("stored", "running_var, median over live channels", wide=True),
        Column("training", "variance with noise on", wide=True),
        Column("test", "variance with noise off", wide=True),
        Column("channels", "and how many of them are dead", wide=True),
        Column("noise behind", "the nearest source with no other norm between", False),
    ]
    rows = [_row(result, site) for site in result.sites.values()]
    return Table(title, columns, rows, numbered=True)


def _row(result: Measurement, site: Site) -> Row:
    return Row(
        [
            name(site.path),
            error(site.shift, site.shift_se),
            error(site.severity, site.severity_se, 2),
            Cell(site.grade),
            error(site.paper, site.paper_se, 2),
            *(number(site.variances[side]) for side in _SIDES),
            Cell(_channels_of(site), sort=float(len(site.delta))),
            behind_cell(result.structure, site.path),
        ],
        site.sure,
        site.grade,
    )


def _channels(ranked: list[Site], sites: list[Site]) -> Iterator[Part]:
    if not ranked:
        return
    yield Boxes(
        "Scatter of the shift over the channels of each norm",
        "Δ per channel: median, middle half, 5 to 95 %",
        [site.path for site in sites],
        [site.spread for site in sites],
    )
    for site in ranked[:_CLOUDS]:
        if bool(site.live.any()):
            train, test = site.train.var[site.live], site.test.var[site.live]
            about = f"{site.path}: variance at test over variance in training, channel by channel"
            yield Cloud(about, site.path, train.tolist(), test.tolist())


def _presets(result: Measurement, ranked: list[Site]) -> Iterator[dict[str, Any]]:
    """Norms right behind one noise of known law, the worst first.

    The calculator has the law of that noise alone; what was measured stands beside it.
    """
    direct = direct_routes(result.structure)
    for site in ranked:
        routes, channel = direct.get(site.path, []), site.middle
        if len(routes) != 1 or routes[0].placements != ("a",) or channel is None:
            continue
        tau = result.structure.noise(routes[0].noise).tau
        if tau is not None:
            mean, var = float(site.test.mean[channel]), float(site.test.var[channel])
            found = preset(site.path, mean, var, tau, float(site.delta[channel]))
            if found:
                yield found
