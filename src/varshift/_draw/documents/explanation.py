"""The document of `explain`: what became of the variance, and whose fault it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

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
from varshift._draw.documents.cells import by_reason, error, known, name, named, percent
from varshift._draw.documents.parts import MEASURE, REPAIR, add_calculator, add_routes
from varshift._draw.figures import fixed, measured, place
from varshift._draw.pictures.described import Bars, Boxes, Depth, Factor, Heat, Series
from varshift.results import Explanation, Factors, Figure

__all__: list[str] = []

_CULPRITS = 3  # sources of a place that get a row; the others are summed up
_LEAST = 0.01  # share of the variance worth a row
_BARS, _PLACES, _NOISES = 16, 60, 40  # of a picture
_ROWS = 400
_TEST_DATA = Missing(
    "the data factor: what other data at test does",
    "vs.explain(model, data, test_data=test_loader)",
)
_UNREPAIRED = ("none", "other-norms", "unattributed")
_FACTORS = {
    "noise": "variance at test ÷ in training, same batches; = alone × batches × carried",
    "staleness": "variance in training ÷ stored; = composition × age",
    "alone": "noise off ÷ on, every norm at its training statistics",
    "batches": "what normalising by a batch's own statistics does",
    "carried": "what stored statistics that do not fit do to everything after them",
    "composition": "all values ÷ within batches: what differs between batches is never stored",
    "age": "within batches ÷ stored: momentum, few steps, weights that moved",
}


@document.register
def _explanation(result: Explanation) -> Document:
    other = any(site.data.value != 1 for site in result.factors.values())
    tells = bool(result.blame.share) or any(map(_tells, result.blame.rest.values()))
    heat, depth = _heat(result), _depth(result, other) if result.factors else None
    made = Document(
        f"Verdict: {result.verdict}.",
        detail=result.reason,
        points=list(_scores(result)),
        picture=heat or depth,
        meanings=list(_meanings(result, tells)),
        following="Next: repair (what helps, measured before it is kept)."
        if result.verdict not in _UNREPAIRED
        else "",
        notes=[*by_reason(result.skipped, "not explained, "), *result.notes],
        missing=[MEASURE, *([] if other else [_TEST_DATA]), REPAIR],
        facts={
            "samples": f"{result.samples:,}",
            "batches": f"{result.batches:,}",
            "passes over the data": str(result.passes),
        },
    )
    made.add(
        "factors",
        "What became of the variance",
        "Variance of what arrives at each norm at test, in units of the variance it has stored "
        "and divides by. At 1 the norm divides by the right number. The total is taken apart "
        "exactly, into noise × batches × stale × data.",
        _factors(result, other, depth) if depth else [],
    )
    made.add(
        "blame",
        "Whose noise it is",
        "Of the variance in training, the share that each source causes alone, every norm at its "
        "training statistics. A negative share: with that noise the variance is smaller than "
        "without.",
        _blame(result, heat) if tells else [],
    )
    made.add(
        "outputs",
        "Outputs",
        "What noise does to what the model returns: it moves means wherever a nonlinearity "
        "follows, also where there is no norm.",
        [_outputs(result)] if result.outputs else [],
    )
    add_routes(
        made,
        result.structure,
        {path: site.severity for path, site in result.factors.items()},
        grades={path: site.grade for path, site in result.factors.items()},
    )
    add_calculator(made)
    return made


def _scores(result: Explanation) -> Iterator[str]:
    scores = ", ".join(
        f"{cause} {score:.3f} (at {named(result.worst[cause])})"
        for cause, score in result.scores.items()
        if cause in result.worst
    )
    if scores:
        yield (
            "How far each cause surely moves what the worst norm passes on, in standard deviations "
            f"of that: {scores}. From 0.1 on a cause is named"
        )


def _meanings(result: Explanation, tells: bool) -> Iterator[str]:
    if result.factors:
        yield (
            "Total = noise × batches × stale × data; the verdict goes by how far each moves what "
            "a norm passes on, means included. ±: one standard error."
        )
    if tells:
        yield (
            f"Shares come from {counted(result.blame.passes, 'pass')}; each {result.blame.unit} "
            "carried its own subset of the sources. A negative share: with that noise the "
            "variance is smaller. (interaction): all together beyond the sum of each. (rest): what "
            "stays with every source silenced."
        )


def _depth(result: Explanation, other: bool) -> Depth:
    sites = list(result.factors.values())
    series = [
        Series("train", "training", [site.staleness.value for site in sites]),
        Series("test", "test", [(site.staleness * site.noise) for site in sites]),
    ]
    if other:
        series.append(Series("data", "test data", [site.total.value for site in sites]))
    grades = [site.grade for site in sites]
    series[-1] = replace(series[-1], grades=grades)
    order = sorted(range(len(sites)), key=lambda index: -known(sites[index].severity))
    return Depth(
        "Variance of each norm's input in training and at test, relative to what is stored",
        "variance ÷ stored variance, geometric mean over channels",
        list(result.factors),
        series,
        named=[index for index in order[:3] if grades[index] != "none"],
    )


def _factors(result: Explanation, other: bool, depth: Depth) -> Iterator[Part]:
    yield depth
    yield Tree([_leaf(result, site) for site in result.factors.values()], "variance ÷ stored")
    yield _bars(result, other)
    yield _table(result)
    kept = {path: site.spread for path, site in result.factors.items() if site.spread}
    if kept:
        yield Boxes(
            "Scatter of the total shift over the channels of each norm",
            "total per channel: median, middle half, 5 to 95 %",
            list(kept),
            list(kept.values()),
        )


def _leaf(result: Explanation, site: Factors) -> Leaf:
    total = site.total
    behind = result.blame.behind(site.path) if site.path in result.blame.places else {}
    card = [
        ("total", measured(total.value, total.se)),
        ("noise", fixed(site.alone.value)),
        ("batches", fixed(site.by_batches)),
        ("stale", fixed(site.by_age)),
        ("data", fixed(site.data.value)),
        *((f"share of {source}", percent(share)) for source, share in list(behind.items())[:3]),
    ]
    ends = (total.value - 2 * total.se, total.value + 2 * total.se)
    return Leaf(site.path, site.grade, measured(total.value, total.se), total.value, *ends, card)


def _bars(result: Explanation, other: bool) -> Bars:
    sites = result.factors.values()
    worst = sorted(sites, key=lambda site: -site.displaced)[:_BARS]
    shown = [site for site in sites if site in worst]
    kinds = [
        Factor("test", "noise", [site.noise.value for site in shown]),
        Factor("stored", "staleness", [site.staleness.value for site in shown]),
        *([Factor("data", "data", [site.data.value for site in shown])] if other else []),
    ]
    few = len(shown) < len(result.factors)
    return Bars(
        "Factors of the total shift at the norms displaced most",
        [site.path for site in shown],
        [site.total.value for site in shown],
        kinds,
        f"The {len(shown)} norms displaced most; the table has all." if few else "",
    )


def _table(result: Explanation) -> Table:
    columns = [
        Column("norm", numeric=False),
        Column("total", "variance at test ÷ stored variance"),
        Column("noise", "off ÷ on, every norm at its training statistics"),
        Column("batches", "normalising by a batch, and averaging within batches"),
        Column("stale", "age of the stored statistics, and what that does further on"),
        Column("data", "test data ÷ training data, noise off; 1 without test_data"),
        *(
            Column(f"{key} factor" if key in ("noise", "batches") else key, meaning, wide=True)
            for key, meaning in _FACTORS.items()
        ),
    ]
    rows = [
        Row(
            [
                name(path),
                error(site.total.value, site.total.se),
                *(
                    Cell(fixed(value), sort=known(value))
                    for value in (
                        *(site.alone.value, site.by_batches, site.by_age, site.data.value),
                    )
                ),
                *(error(part.value, part.se) for part in (getattr(site, key) for key in _FACTORS)),
            ],
            site.displaced,
            site.grade,
        )
        for path, site in result.factors.items()
    ]
    title = (
        f"What became of the variance, {counted(result.samples, 'sample')}, "
        f"{counted(result.batches, 'batch')}"
    )
    return Table(title, columns, rows, numbered=True)


def _blame(result: Explanation, heat: Heat | None) -> Iterator[Part]:
    if heat:
        yield heat
    yield _culprits(result)
    if result.blame.share:
        yield _shares(result)


def _culprits(result: Explanation) -> Table:
    """What is worth a row: by place the strongest sources, and what is nobody's."""
    rows = [row for place_ in _places(result) for row in _rows(result, place_)]
    columns = [
        Column("place", numeric=False),
        Column("source", numeric=False),
        Column("share", "of the variance in training, each source alone; from 1 % on"),
        Column("line", numeric=False),
    ]
    return Table("Whose noise it is", columns, rows, grouped=True)


def _places(result: Explanation) -> Iterable[str]:
    """The outputs first: of many norms the last would push them out."""
    return [
        place_ for place_ in (*result.outputs, *result.factors) if place_ in result.blame.places
    ]


def _rows(result: Explanation, at: str) -> Iterator[Row]:
    blame = result.blame
    weight = math.inf if at in result.outputs else abs(known(blame.total[at].value))
    sure = [(source, share) for source, share in blame.behind(at).items() if _tells(share)]
    found = [
        (source, percent(share), place(result.structure.noise(source)))
        for source, share in sure[:_CULPRITS]
    ]
    others = sum(share.value for _, share in sure[_CULPRITS:])
    if abs(others) >= _LEAST:
        found.append((f"{len(sure) - _CULPRITS} more", f"{100 * others:.1f} %", ""))
    if _tells(blame.interaction[at]):
        found.append(("(interaction)", percent(blame.interaction[at]), ""))
    rest = blame.rest[at]
    if _tells(rest):
        # What is nobody's comes first where no source has as much.
        first = not sure or abs(rest) > abs(sure[0][1])
        found.insert(0 if first else len(found), ("(rest)", percent(rest), ""))
    for source, share, line in found:
        yield Row((name(at), name(source), Cell(share), name(line)), weight)


def _shares(result: Explanation) -> Table:
    """All of them."""
    blame = result.blame
    rows = [
        Row((name(at), name(source), _share(share), name(place(result.structure.noise(source)))))
        for (source, at), share in list(blame.share.items())[:_ROWS]
    ]
    columns = [
        Column("place", numeric=False),
        Column("source", numeric=False),
        Column("share", "of the variance in training, ± one standard error"),
        Column("line", numeric=False),
    ]
    title = f"Every share, {len(blame.share)} in all"
    return Table(title, columns, rows, len(blame.share), wide=True)


def _tells(share: Figure) -> bool:
    """Whether a share is worth a row: large enough, and sure to be there."""
    return abs(share.value) >= max(_LEAST, 2 * known(share.se))


def _share(share: Figure) -> Cell:
    return Cell(percent(share), sort=share.value if math.isfinite(share.value) else "")


def _heat(result: Explanation) -> Heat | None:
    blame = result.blame
    if not blame.share:
        return None
    places, sources = (_most(result, side) for side in (1, 0))
    kept = {
        pair: share
        for pair, share in blame.share.items()
        if pair[0] in sources and pair[1] in places
    }
    every = tuple({pair[side] for pair in blame.share} for side in (1, 0))
    few = (len(places), len(sources)) != tuple(map(len, every))
    return Heat(
        "Share of each place's variance in training that each noise source causes alone",
        sources,
        places,
        {pair: (share.value, share.se) for pair, share in kept.items()},
        "The places and sources with the largest shares; the table has more." if few else "",
    )


def _most(result: Explanation, side: int) -> list[str]:
    """The sources (side 0) or places (side 1) of the largest shares, in their own order."""
    sizes: dict[str, float] = {}
    for pair, share in result.blame.share.items():
        size = abs(share.value) if math.isfinite(share.value) else 0.0
        sizes[pair[side]] = max(sizes.get(pair[side], 0.0), size)
    most, order = ((_NOISES, result.blame.noises), (_PLACES, result.blame.places))[side]
    kept: Mapping[str, float] = dict(sorted(sizes.items(), key=lambda item: -item[1])[:most])
    return [each for each in order if each in kept]


def _outputs(result: Explanation) -> Table:
    rows = [
        Row(
            (
                name(key),
                error(output.mean_shift.value, output.mean_shift.se),
                Cell(
                    f"× {measured(output.var_ratio.value, output.var_ratio.se)}",
                    sort=known(output.var_ratio.value),
                ),
            )
        )
        for key, output in result.outputs.items()
    ]
    columns = [
        Column("output", numeric=False),
        Column("mean moves by (σ)", "root mean square over features, in standard deviations"),
        Column("variance", "noise off ÷ on, geometric mean over features"),
    ]
    return Table("Outputs, noise off against on", columns, rows)
