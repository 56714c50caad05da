"""The document of `predict`: the shift that theory expects under the noise asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from varshift._counting import counted
from varshift._draw.document import (
    Cell,
    Column,
    Document,
    Leaf,
    Missing,
    Part,
    Row,
    Table,
    Tree,
)
from varshift._draw.documents.base import document
from varshift._draw.documents.cells import by_reason, known, name, named, names, number, words
from varshift._draw.documents.parts import (
    MEASURE,
    REPAIR,
    SEVERITY,
    SHIFT,
    add_calculator,
    add_routes,
    preset,
    shifting,
)
from varshift._draw.figures import drop, figure, fixed, shortened
from varshift._draw.pictures.described import Boxes, Depth, Series
from varshift.results import Expected, Prediction
from varshift.results.grading import Grade, worst_grade

__all__: list[str] = []

_BOUND = 1.1
_WIDTH = 0.95
_WITH_DATA = Missing(
    "how much wider a layer would have to be for Δ ≥ 0.95, and exact closed forms",
    "vs.predict(model, data).to_html(path)",
)


@document.register
def _prediction(result: Prediction) -> Document:
    sites = list(result.sites.values())
    ranked = sorted((s for s in sites if s.severity == s.severity), key=lambda s: -s.severity)
    rates = _rates(result)
    made = Document(
        _head(result, ranked),
        tone=_tone(result, ranked),
        detail=_asked(rates),
        points=[_point(site) for site in ranked[:3] if site.grade != "none"],
        picture=_depth(sites) if ranked else None,
        meanings=[*_meaning(result), *_largest(result)] if sites else [],
        following="Next: measure (whether it is so), predict with other noise (what would shift "
        "less)."
        if any(site.grade != "none" for site in ranked)
        else "",
        notes=[*by_reason(result.skipped, "not predicted, "), *result.notes],
        missing=[MEASURE, *([] if result.samples else [_WITH_DATA]), REPAIR],
        facts={"samples": f"{result.samples:,}" if result.samples else "none: from the weights"},
    )
    parts: list[Part] = [made.picture] if made.picture else []
    if sites:
        parts += [Tree([_leaf(site) for site in sites], "expected Δ test/train"), _table(result)]
    made.add(
        "depth",
        "Shift that theory expects",
        "The weights are held fixed: what the noise asked for does to the variance in training, "
        "against the variance at test.",
        parts,
    )
    made.add(
        "channels",
        "Channel by channel",
        "How the expected shift scatters over the channels of each norm.",
        _channels(sites) if ranked else [],
    )
    made.add("asked", "Noise asked for", "", _noises(result))
    add_routes(
        made,
        result.structure,
        {site.path: site.severity for site in sites},
        rates,
        grades={site.path: site.grade for site in sites},
    )
    add_calculator(made, _presets(ranked), "expected")
    return made


def _tone(result: Prediction, ranked: list[Expected]) -> Grade | None:
    """That of the worst norm; none where a clean rest would speak for norms that are not known."""
    unknown = any(route.norm in result.skipped for route in result.structure.routes)
    worst = worst_grade(*(site.grade for site in ranked)) if ranked else None
    return None if unknown and worst == "none" else worst


def _head(result: Prediction, ranked: list[Expected]) -> str:
    if not result.sites:
        why = ", for these reasons:" if result.skipped else "."
        return f"No norm could be predicted from {_source(result)}{why}"
    if not ranked:
        return "No norm has a channel that is alive."
    missed = ""
    if not result.samples and result.skipped:
        total = len(result.sites) + len(result.skipped)
        missed = f"{len(result.skipped)} of {total} norms could not be predicted without data. "
    said = shifting((site.grade for site in ranked), len(result.sites))
    how = "the worst" if ranked[0].grade != "none" else "the largest shift"
    return (
        f"{missed}By theory, from {_source(result)}: {said[:1].lower()}{said[1:]}; {how} is at "
        f"{named(ranked[0].path)}, where the variance at test would be {fixed(ranked[0].shift)} "
        "times that in training."
    )


def _source(result: Prediction) -> str:
    if result.samples:
        return counted(result.samples, "sample")
    shown = any(site.how == "example" for site in result.sites.values())
    return "the checkpoint and an example" if shown else "the checkpoint alone"


def _point(site: Expected) -> str:
    return (
        f"{named(site.path)}: Δ {fixed(site.shift)}, severity {fixed(site.severity, 2)} "
        f"({site.grade})"
    )


def _rates(result: Prediction) -> dict[str, str]:
    """What sources draw now and were asked to: `0.5 → 0.8`."""
    found, drawn = {}, {noise.name: noise for noise in result.structure.noises}
    for source, tau in result.asked.items():
        noise = drawn.get(source)
        if noise is None or not math.isfinite(tau):
            continue
        if noise.tau is None or abs(noise.tau - tau) > 1e-9 * max(tau, 1.0):
            found[source] = f"{drop(noise)} → {_rate(tau)}"
    return found


def _rate(tau: float) -> str:
    return f"{tau / (1 + tau):.3g}" if tau >= 0 else f"τ {tau:.3g}"


def _asked(rates: Mapping[str, str]) -> str:
    if not rates:
        return ""
    alike: dict[str, list[str]] = {}
    for source, rate in rates.items():
        alike.setdefault(rate.replace(" → ", " to "), []).append(shortened(source, 60))
    moves = [f"{_several(held)} from {rate}" for rate, held in alike.items()]
    more = f" and {len(moves) - 4} more" if len(moves) > 4 else ""
    return f"This is with drop_p changed: {'; '.join(moves[:4])}{more}."


def _several(held: list[str]) -> str:
    """All of three names, else the first and how many more."""
    if len(held) <= 3:
        return ", ".join(held)
    return f"{held[0]} and {len(held) - 1} more"


def _meaning(result: Prediction) -> Iterator[str]:
    laws = ", ".join(f"{source} τ = {tau:.4g}" for source, tau in list(result.asked.items())[:6])
    if laws:
        yield f"Noise: {laws}{' …' if len(result.asked) > 6 else ''}."


def _largest(result: Prediction) -> Iterator[str]:
    largest = result.max_drop_p(_BOUND)
    if largest:
        norms = len(largest) - 1
        each = "the one norm" if norms == 1 else f"each of the {norms} norms"
        yield (
            f"A drop_p of at most {figure(largest[''], 3)} everywhere keeps the severity at or "
            f"below {_BOUND} at {each} that noise reaches directly and that could be predicted."
        )


def _depth(sites: list[Expected]) -> Depth:
    ranked = sorted(range(len(sites)), key=lambda index: -known(sites[index].severity))
    return Depth(
        "Expected shift of the variance at each norm, in the order data reaches them",
        "Δ that theory expects, with its band",
        [site.path for site in sites],
        [
            Series(
                "test",
                "Δ",
                [site.shift for site in sites],
                [site.low for site in sites],
                [site.high for site in sites],
                [site.grade for site in sites],
            )
        ],
        named=[index for index in ranked[:3] if sites[index].grade != "none"],
    )


def _leaf(site: Expected) -> Leaf:
    card = [
        ("expected Δ", fixed(site.shift)),
        ("band", _band(site)),
        ("severity", f"{fixed(site.severity, 2)}, {site.grade}"),
        ("how", site.how),
        ("variance in training", figure(site.variances["train"], 4)),
        ("variance at test", figure(site.variances["test"], 4)),
        (
            "noise",
            ", ".join(f"{source} (τ {tau:.3g})" for source, tau in site.taus.items()) or "none",
        ),
    ]
    return Leaf(site.path, site.grade, fixed(site.shift), site.shift, site.low, site.high, card)


def _channels(sites: list[Expected]) -> list[Part]:
    return [
        Boxes(
            "Scatter of the expected shift over channels",
            "Δ per channel: median, middle half, 5 to 95 %",
            [site.path for site in sites],
            [site.spread for site in sites],
        )
    ]


def _noises(result: Prediction) -> list[Table]:
    rows = [
        Row((name(source), number(tau), number(tau / (1 + tau) if tau >= 0 else None)))
        for source, tau in result.asked.items()
    ]
    columns = [
        Column("noise source", numeric=False),
        Column("τ", "relative variance of the noise"),
        Column("drop_p", "of a dropout with as much noise, τ/(1 + τ)"),
    ]
    return [Table(counted(len(rows), "noise source"), columns, rows, wide=True)] if rows else []


def _presets(ranked: list[Expected]) -> Iterator[dict[str, Any]]:
    """Norms straight behind one noise: v is the signal, and N = c² + v gives c."""
    for site in ranked:
        channel = site.middle
        if site.how != "law (a)" or len(site.energies) != 1 or channel is None:
            continue
        (source, energy), *_ = site.energies.items()
        var = float(site.signal[channel])
        mean = math.sqrt(max(float(energy[channel]) - var, 0.0))
        found = preset(site.path, mean, var, site.taus[source], float(site.delta[channel]))
        if found:
            yield found


def _table(result: Prediction) -> Table:
    columns = [
        Column("norm", numeric=False),
        SHIFT,
        Column(
            "band",
            "two standard errors with data; without, what an example and earlier norms leave open",
        ),
        SEVERITY,
        Column("how", "the law used, or why none", False),
        Column("training", "expected variance with noise on", wide=True),
        Column("test", "expected variance with noise off", wide=True),
        Column("max drop_p", f"largest that keeps the severity at or below {_BOUND}", wide=True),
        Column("width", f"how many times as wide for Δ ≥ {_WIDTH}; needs data", wide=True),
        Column("noise", "that reaches it directly", False, wide=True),
    ]
    largest, widths = result.max_drop_p(_BOUND), result.min_width(_WIDTH)
    rows = [_row(site, largest, widths) for site in result.sites.values()]
    return Table("Shift that theory expects", columns, rows, numbered=True)


def _row(site: Expected, largest: Mapping[str, float], widths: Mapping[str, float]) -> Row:
    return Row(
        [
            name(site.path),
            Cell(fixed(site.shift), sort=site.shift),
            Cell(_band(site), sort=site.low if site.low == site.low else ""),
            Cell(fixed(site.severity, 2), sort=site.severity),
            words(site.how),
            number(site.variances["train"]),
            number(site.variances["test"]),
            number(largest.get(site.path), 3),
            number(widths.get(site.path), 3),
            names(site.energies),
        ],
        known(site.severity),
        site.grade,
    )


def _band(site: Expected) -> str:
    if math.isnan(site.low) or math.isnan(site.high):
        return "n/a"
    return f"{fixed(site.low)}–{fixed(site.high)}"
