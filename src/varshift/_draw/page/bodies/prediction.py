"""The page of `predict`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from varshift._draw.figures import drop, figure, shortened
from varshift._draw.page.bodies.plain import body
from varshift._draw.page.bodies.shared import (
    MEASURE,
    REPAIR,
    add_routes,
    add_what_if,
    median,
    middle_channel,
    preset,
)
from varshift._draw.page.parts import (
    Body,
    Cell,
    Column,
    Missing,
    Part,
    Table,
    counted,
    name_cell,
    names_cell,
    number_cell,
)
from varshift._draw.page.pictures import Series, boxes, by_depth
from varshift.results import Expected, Prediction

__all__: list[str] = []

_BOUND = 1.1
_WITH_DATA = Missing(
    "how much wider a layer would have to be for Δ ≥ 0.95, and exact closed forms",
    "vs.predict(model, data).to_html(path)",
)


@body.register
def _prediction(result: Prediction) -> Body:
    facts = {"samples": f"{result.samples:,}" if result.samples else "none: from the weights alone"}
    rates = _rates(result)
    made = Body(
        _summary(result, rates),
        missing=[MEASURE, *([] if result.samples else [_WITH_DATA]), REPAIR],
        facts=facts,
        skipped=result.skipped,
    )
    sites = list(result.sites.values())
    made.add("asked", "Noise asked for", "", _asked(result))
    made.add(
        "depth",
        "Training against test, norm by norm",
        "What theory expects, weights held fixed: the variance in training under the noise asked "
        "for, the variance at test, and their ratio.",
        _depth(sites),
    )
    made.add("sites", "All norms", "", [_table(result)] if sites else [])
    made.add(
        "channels",
        "Channel by channel",
        "How the expected shift scatters over the channels of each norm.",
        _channels(sites),
    )
    add_routes(made, result.structure, {site.path: site.severity for site in sites}, rates)
    add_what_if(made, _presets(result), "expected")
    return made


def _rates(result: Prediction) -> dict[str, str]:
    """What sources draw now and were asked to: `0.5 → 0.8`."""
    found, drawn = {}, {noise.name: noise for noise in result.structure.noises}
    for name, tau in result.asked.items():
        noise = drawn.get(name)
        if noise is None or not math.isfinite(tau):
            continue
        if noise.tau is None or abs(noise.tau - tau) > 1e-9 * max(tau, 1.0):
            found[name] = f"{drop(noise)} → {_rate(tau)}"
    return found


def _rate(tau: float) -> str:
    return f"{tau / (1 + tau):.3g}" if tau >= 0 else f"τ {tau:.3g}"


def _summary(result: Prediction, rates: Mapping[str, str]) -> list[str]:
    said = _expected(result)
    if not rates:
        return said
    alike: dict[str, list[str]] = {}
    for name, rate in rates.items():
        alike.setdefault(rate.replace(" → ", " to "), []).append(shortened(name, 60))
    moves = [f"{_several(names)} from {rate}" for rate, names in alike.items()]
    more = f" and {len(moves) - 4} more" if len(moves) > 4 else ""
    return [f"What if drop_p went so: {'; '.join(moves[:4])}{more}.", *said]


def _several(names: list[str]) -> str:
    """All of three names, else the first and how many more."""
    if len(names) <= 3:
        return ", ".join(names)
    return f"{names[0]} and {len(names) - 1} more"


def _expected(result: Prediction) -> list[str]:
    shown = any(site.how == "example" for site in result.sites.values())
    alone = "the checkpoint and an example" if shown else "the checkpoint alone"
    source = counted(result.samples, "sample") if result.samples else alone
    said = [f"Shift that theory expects at {counted(len(result.sites), 'norm')}, from {source}."]
    known = [site for site in result.sites.values() if site.severity == site.severity]
    if not known:
        return [*said, "No norm has a figure."]
    worst = max(known, key=lambda site: site.severity)
    said.append(
        f"Worst: {shortened(worst.path, 80)}. At test the variance of its input would be "
        f"{figure(worst.shift, 3)} times that in training (severity {figure(worst.severity, 3)})."
    )
    largest = result.max_drop_p(_BOUND)
    if largest:
        norms = len(largest) - 1
        each = "the one norm" if norms == 1 else f"each of the {norms} norms"
        said.append(
            f"A drop_p of at most {figure(largest[''], 3)} everywhere would keep the severity at "
            f"or below {_BOUND} at {each} that noise reaches directly and that could be "
            "predicted."
        )
    return said


def _depth(sites: list[Expected]) -> list[Part]:
    if not sites:
        return []
    names = [site.path for site in sites]
    kinds = (("train", "training"), ("test", "test"))
    series = [
        Series(role, word, [median(getattr(site, f"var_{role}")) for site in sites])
        for role, word in kinds
    ]
    label = "variance of the norm's input, median over channels"
    about = "Expected variance of each norm's input in training and at test"
    shift = Series(
        *("test", "Δ", [site.shift for site in sites]),
        *([site.low for site in sites], [site.high for site in sites]),
    )
    ratio = by_depth(names, [shift], "Δ, and its band", "Expected shift", reference=1.0)
    return [by_depth(names, series, label, about, gap=True), ratio]


def _channels(sites: list[Expected]) -> list[Part]:
    if not sites:
        return []
    names, deltas = [site.path for site in sites], [site.delta for site in sites]
    label = "Δ per channel: median, middle half, 5 to 95 %"
    return [boxes(names, deltas, label, "Scatter of the expected shift over channels")]


def _asked(result: Prediction) -> list[Table]:
    rows = [
        [name_cell(name), number_cell(tau), number_cell(tau / (1 + tau) if tau >= 0 else None)]
        for name, tau in result.asked.items()
    ]
    columns = [
        Column("noise source", numeric=False),
        Column("τ", "relative variance of the noise"),
        Column("drop_p", "of a dropout with as much noise, τ/(1 + τ)"),
    ]
    return [Table(counted(len(rows), "noise source"), columns, rows)] if rows else []


def _presets(result: Prediction) -> Iterator[dict[str, Any]]:
    """Norms straight behind one noise: v is the signal, and N = c² + v gives c."""
    for site in sorted(result.sites.values(), key=_mildness):
        path = site.path
        channel = middle_channel(site.delta)
        if site.how != "law (a)" or len(site.energies) != 1 or channel is None:
            continue
        (source, energy), *_ = site.energies.items()
        var = float(site.signal[channel])
        mean = math.sqrt(max(float(energy[channel]) - var, 0.0))
        found = preset(path, mean, var, site.taus[source], float(site.delta[channel]))
        if found:
            yield found


def _mildness(site: Expected) -> float:
    """Orders sites from the worst on, those without a figure last."""
    return -site.severity if site.severity == site.severity else 0.0


def _table(result: Prediction) -> Table:
    columns = [
        Column("#", "place in the model"),
        Column("norm", numeric=False),
        Column("Δ test/train", "variance at test ÷ variance in training"),
        Column("band", "two standard errors with data; without, what an example leaves open"),
        Column("severity", "Δ or 1/Δ, whichever is larger; median over channels"),
        Column("how", "the law used, or why none", False),
        Column("training", "expected variance with noise on"),
        Column("test", "expected variance with noise off"),
        Column("max drop_p", f"largest that keeps the severity at or below {_BOUND}"),
        Column("width", "how many times as wide for Δ ≥ 0.95; needs data"),
        Column("noise", "that reaches it directly", False),
    ]
    largest, widths = result.max_drop_p(_BOUND), result.min_width(0.95)
    rows = [
        _row(index, site, largest, widths) for index, site in enumerate(result.sites.values(), 1)
    ]
    return Table(counted(len(rows), "norm"), columns, rows)


def _row(
    index: int, site: Expected, largest: Mapping[str, float], widths: Mapping[str, float]
) -> list[Cell]:
    known = site.low == site.low and site.high == site.high
    band = f"{figure(site.low, 3)} to {figure(site.high, 3)}" if known else "n/a"
    return [
        number_cell(index),
        name_cell(site.path),
        number_cell(site.shift),
        Cell(band, site.low if known else ""),
        number_cell(site.severity),
        Cell(site.how, site.how),
        number_cell(median(site.var_train)),
        number_cell(median(site.var_test)),
        number_cell(largest.get(site.path), 3),
        number_cell(widths.get(site.path), 3),
        names_cell(site.energies),
    ]
