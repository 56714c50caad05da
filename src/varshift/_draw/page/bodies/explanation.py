"""The page of `explain`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from varshift._draw.figures import displaced, measured, shortened
from varshift._draw.page.bodies.plain import body
from varshift._draw.page.bodies.shared import MEASURE, REPAIR, add_routes, add_what_if
from varshift._draw.page.parts import (
    Body,
    Cell,
    Column,
    Missing,
    Part,
    Table,
    counted,
    name_cell,
    number_cell,
)
from varshift._draw.page.pictures import Factor, Series, boxes, by_depth, factor_bars, heat
from varshift.results import Explanation, Factors, Figure

__all__: list[str] = []

_BARS, _PLACES, _NOISES = 16, 60, 40
_TEST_DATA = Missing(
    "the data factor: what other data at test does",
    "vs.explain(model, data, test_data=test_loader)",
)


@body.register
def _explanation(result: Explanation) -> Body:
    other = any(factors.data.value != 1 for factors in result.factors.values())
    made = Body(
        _summary(result),
        missing=[MEASURE, *([] if other else [_TEST_DATA]), REPAIR],
        facts={
            "samples": f"{result.samples:,}",
            "batches": f"{result.batches:,}",
            "passes over the data": str(result.passes),
        },
        skipped=result.skipped,
    )
    made.add(
        "depth",
        "Training against test, norm by norm",
        "Variance of what arrives at each norm, in units of the variance it has stored and will "
        "divide by. At 1 the norm divides by the right number.",
        [_depth(result, other)] if result.factors else [],
    )
    made.add(
        "factors",
        "Noise × staleness × data",
        "The total is taken apart exactly. Noise: test ÷ training on the same batches. Staleness: "
        "training ÷ stored. Data: test data ÷ training data, both with noise off.",
        _factors(result, other),
    )
    made.add(
        "channels",
        "Channel by channel",
        "How the total, variance at test ÷ stored variance, scatters over the channels.",
        _channels(result),
    )
    made.add(
        "blame",
        "Whose noise it is",
        "Of the variance in training, the share that each source causes alone, every norm at its "
        "training statistics. Blank: no route leads there. Negative: the noise lowers it.",
        _blame(result),
    )
    made.add(
        "outputs",
        "Outputs",
        "What noise does to what the model returns: it moves means wherever a nonlinearity "
        "follows, also where there is no norm.",
        _outputs(result),
    )
    add_routes(made, result.structure, {p: _severity(f) for p, f in result.factors.items()})
    add_what_if(made)
    return made


def _summary(result: Explanation) -> list[str]:
    said = [f"Verdict: {result.verdict}. {result.reason}"]
    scores = ", ".join(
        f"{cause} {score:.3f} (at {shortened(result.worst[cause], 40)})"
        for cause, score in result.scores.items()
        if cause in result.worst
    )
    if scores:
        said.append(
            f"How far each cause displaces what its worst norm hands on, in deviations, two "
            f"standard errors taken off: {scores}. From 0.1 a cause is named."
        )
    return said


def _severity(factors: Factors) -> float:
    noise = factors.noise.value
    return max(noise, 1 / noise) if noise > 0 else float("nan")


def _depth(result: Explanation, other: bool) -> Part:
    sites = result.factors.values()
    series = [
        Series("train", "training", [site.staleness.value for site in sites]),
        Series("test", "test", [(site.staleness * site.noise) for site in sites]),
    ]
    if other:
        series.insert(0, Series("data", "test data", [site.total.value for site in sites]))
    return by_depth(
        list(result.factors),
        series,
        "variance ÷ stored variance, geometric mean over channels",
        "Variance of each norm's input in training and at test, relative to what is stored",
        reference=1.0,
        gap=True,
        named=_farthest(result),
    )


def _farthest(result: Explanation) -> list[int]:
    """The three norms whose noise alone moves them most."""
    sizes = [_severity(site) for site in result.factors.values()]
    known = [index for index, size in enumerate(sizes) if math.isfinite(size)]
    return sorted(known, key=lambda index: -sizes[index])[:3]


def _factors(result: Explanation, other: bool) -> list[Part]:
    if not result.factors:
        return []

    worst = sorted(result.factors.values(), key=displaced, reverse=True)[:_BARS]
    shown = [site for site in result.factors.values() if site in worst]
    kinds = [("test", "noise"), ("stored", "staleness"), *([("data", "data")] if other else [])]
    bars = factor_bars(
        [site.path for site in shown],
        [site.total.value for site in shown],
        [Factor(role, name, [getattr(site, name).value for site in shown]) for role, name in kinds],
        "Factors of the total shift at the norms displaced most",
    )
    if len(shown) < len(result.factors):
        bars.caption = f"The {len(shown)} norms displaced most; the table has all."
    return [bars, _factor_table(result)]


_COLUMNS = {
    "total": "variance on the test data ÷ stored variance",
    "noise": "test ÷ training, same batches = alone × batches × carried",
    "staleness": "training ÷ stored = composition × age",
    "data": "test data ÷ training data, noise off",
    "alone": "noise off ÷ on, every norm at its training statistics",
    "batches": "what normalising by a batch's own statistics does",
    "carried": "what unfit stored statistics upstream do",
    "composition": "all values ÷ within batches: what differs between batches is never stored",
    "age": "within batches ÷ stored: momentum, few steps, weights that moved",
}


def _factor_table(result: Explanation) -> Table:
    columns = [
        Column("#", "place in the model"),
        Column("norm", numeric=False),
        *(Column(name, meaning) for name, meaning in _COLUMNS.items()),
    ]
    rows = [
        [
            number_cell(index),
            name_cell(path),
            *(_figure(getattr(site, name)) for name in _COLUMNS),
        ]
        for index, (path, site) in enumerate(result.factors.items(), 1)
    ]
    caption = (
        f"{counted(len(rows), 'norm')}, ± one standard error; geometric means over channels, so "
        "that products are exact (measure gives medians)"
    )
    return Table(caption, columns, rows)


def _figure(figure: Figure) -> Cell:
    return Cell(measured(figure.value, figure.se), figure.value)


def _channels(result: Explanation) -> list[Part]:
    kept = {p: f.channels["total"] for p, f in result.factors.items() if "total" in f.channels}
    if not kept:
        return []
    label = "total per channel: median, middle half, 5 to 95 %"
    about = "Scatter of the total shift over the channels of each norm"
    return [boxes(list(kept), list(kept.values()), label, about)]


def _blame(result: Explanation) -> list[Part]:
    blame = result.blame
    reached = _sizes(result, 1)
    left = {place: rest for place, rest in blame.rest.items() if abs(rest) > 2 * rest.se}
    if not (blame.share or left):
        return []
    rows = [
        [name_cell(place), name_cell(noise), _share(share), Cell(_line(result, noise))]
        for (noise, place), share in blame.share.items()
    ]
    for label, figures in (("(interaction)", blame.interaction), ("(rest)", blame.rest)):
        rows += [
            [name_cell(place), Cell(label, label), _share(figures[place]), Cell("")]
            for place in {**reached, **(left if label == "(rest)" else {})}
        ]
    columns = [
        Column("place", "a norm, or an output", False),
        Column(
            "source", "interaction: all together beyond the sum; rest: every source silenced", False
        ),
        Column("share", "of the variance in training, ± one standard error"),
        Column("line", "of your code", False),
    ]
    table = Table.of_many("share", columns, rows, len(rows))
    return [_heat(result, reached), table] if blame.share else [table]


def _heat(result: Explanation, reached: dict[str, float]) -> Part:
    blame, drawing = result.blame, _sizes(result, 0)
    places, noises = _most(blame.places, reached, _PLACES), _most(blame.noises, drawing, _NOISES)
    drawn = heat(blame, noises, places)
    if len(places) < len(reached) or len(noises) < len(drawing):
        drawn.caption = "The places and sources with the largest shares; the table has more."
    return drawn


def _sizes(result: Explanation, side: int) -> dict[str, float]:
    """By noise (side 0) or place (side 1), its largest share."""
    sizes: dict[str, float] = {}
    for pair, share in result.blame.share.items():
        size = abs(share.value) if math.isfinite(share.value) else 0.0
        sizes[pair[side]] = max(sizes.get(pair[side], 0.0), size)
    return sizes


def _most(names: Sequence[str], sizes: dict[str, float], most: int) -> list[str]:
    kept = set(sorted(sizes, key=lambda name: -sizes[name])[:most])
    return [name for name in names if name in kept]


def _share(figure: Figure) -> Cell:
    if not math.isfinite(figure.value):
        return number_cell(None)
    error = f" ± {100 * figure.se:.1f}" if figure.se == figure.se else ""
    return Cell(f"{100 * figure.value:.1f}{error} %", figure.value)


def _line(result: Explanation, noise: str) -> str:
    line = result.structure.noise(noise).line
    return "—" if line is None else shortened(line.near, 60)


def _outputs(result: Explanation) -> list[Part]:
    rows = [
        [name_cell(name), _figure(output.mean_shift), _figure(output.var_ratio)]
        for name, output in result.outputs.items()
    ]
    columns = [
        Column("output", numeric=False),
        Column("mean moves by", "root mean square over features, in deviations"),
        Column("variance off ÷ on", "geometric mean over features"),
    ]
    return [Table(counted(len(rows), "output"), columns, rows)] if rows else []
