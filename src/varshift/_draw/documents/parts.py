"""Sections that several documents have in common: routes, noise sources, the calculator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from varshift._counting import counted
from varshift._draw.document import (
    Calculator,
    Cell,
    Column,
    Document,
    Missing,
    Part,
    Row,
    Section,
    Table,
)
from varshift._draw.documents.cells import name, number, words
from varshift._draw.documents.routes import routes_picture
from varshift._draw.figures import behind, drop, place, shortened, through
from varshift._draw.pictures.described import Routes
from varshift.results import Noise, Route, Structure
from varshift.results.grading import GRADES, Grade

__all__ = [
    *("EXPLAIN", "GRADED", "LEVELS", "MEASURE", "REPAIR", "SEVERITY", "SHIFT", "add_calculator"),
    *(
        "add_routes",
        "behind_cell",
        "direct_routes",
        "preset",
        "shifting",
        "sources",
    ),
]

SHIFT = Column(
    "Δ test/train",
    "variance at test ÷ variance in training, median over channels; below 1 the norm divides by "
    "too much",
)
SEVERITY = Column("severity", "Δ or 1/Δ, whichever is larger; median over channels")
LEVELS = ", ".join(f"{grade} above {least:g}" for grade, least in GRADES.items())
GRADED = f"Grades, two standard errors taken off the severity: {LEVELS}"
MEASURE = Missing(
    "the variance in training and at test, norm by norm and channel by channel",
    "vs.measure(model, data).to_html(path)",
)
EXPLAIN = Missing(
    "whose fault it is: noise × staleness × data, and the share of each noise source",
    "vs.explain(model, data, test_data=…).to_html(path)",
)
REPAIR = Missing(
    "what a repair would change, before and after, judged on held-out samples",
    "vs.repair(model, data).to_html(path)",
)
_MOST = 400  # rows of a table that may grow with the square of the model


def shifting(graded: Iterable[Grade], total: int) -> str:
    """How many norms shift, in the words that all verbs share.

    >>> shifting(["severe", "none"], 2), shifting(["none"], 1)
    ('1 of 2 norms shifts by more than 10 %', 'The one norm shifts by less than 10 %')
    """
    hit = sum(grade != "none" for grade in graded)
    if not hit:
        return (
            "The one norm shifts by less than 10 %"
            if total == 1
            else f"None of {total} norms surely shifts by more than 10 %"
        )
    return (
        f"{hit} of {counted(total, 'norm')} {'shifts' if hit == 1 else 'shift'} by more than 10 %"
    )


def sources(structure: Structure, path: str, most: int = 3) -> str:
    """The noise sources directly behind a norm, with their rates and lines of code."""
    said = []
    for route in structure.behind(path)[:most]:
        noise = structure.noise(route.noise)
        line = f", {shortened(place(noise), 60)}" if noise.line is not None else ""
        said.append(f"{shortened(noise.name, 60)} ({drop(noise)}{line})")
    return "; ".join(said)


def behind_cell(structure: Structure, path: str) -> Cell:
    """The nearest source directly behind a norm: its placement, its name, and how many more."""
    before, text, after = behind(structure, path)
    return name(text, before, after)


def add_routes(
    made: Document,
    structure: Structure,
    severities: Mapping[str, float],
    rates: Mapping[str, str] | None = None,
    tables: Sequence[Table] = (),
    *,
    grades: Mapping[str, Grade] | None = None,
    wide: bool = True,
) -> Routes | None:
    """The picture of routes, every route as a row, every noise source as a row; the picture.

    `tables` come before that of all routes; the noises' is `wide` where they are not the subject.
    """
    said = (
        "Each line is a path of the data from an operation that draws at random in training to a "
        "norm whose statistics remember it, with no other norm between."
    )
    picture = routes_picture(structure, severities, rates or {}, grades)
    if picture is None:
        said = "No noise source reaches a norm without another norm between."
    parts: list[Part] = [*([picture] if picture else []), *tables, *_routes(structure)]
    made.sections.append(Section("routes", "From noise to norm", said, parts))
    made.add(
        "noises",
        "Noise sources",
        "Found by what they do in one training pass, whatever their class. A silent one was there "
        "and did not draw.",
        [_noises(structure.noises, wide=wide)] if structure.noises else [],
    )
    return picture


def _routes(structure: Structure) -> list[Table]:
    columns = [
        Column("noise source", numeric=False),
        Column("norm", numeric=False),
        Column("placement", "of the most direct path: (a), (b) or through another norm", False),
        Column("through", "the layers on that path", False),
    ]
    ordered = sorted(structure.routes, key=lambda route: not route.direct)
    rows = [
        Row((name(r.noise), name(r.norm), Cell(r.placement), words(through(r))))
        for r in ordered[:_MOST]
    ]
    title = f"{counted(len(ordered), 'route')}, the direct ones first"
    return [Table(title, columns, rows, len(ordered), wide=True)] if rows else []


def _noises(noises: Iterable[Noise], *, wide: bool) -> Table:
    rows = [
        Row(
            (
                name(noise.name),
                words(noise.operation),
                number(noise.drop_p),
                number(noise.tau),
                Cell(noise.sharing),
                Cell("yes" if noise.active else "silent"),
                name(place(noise)),
            )
        )
        for noise in noises
    ]
    columns = [
        Column("source", numeric=False),
        Column("operation", numeric=False),
        Column("drop_p", "chance of a zero, torch's p"),
        Column("τ", "relative variance of the noise", wide=True),
        Column("shared by", "what shares one random number", False),
        Column("drew", numeric=False),
        Column("line", numeric=False),
    ]
    return Table("Noise sources", columns, rows, wide=wide)


def add_calculator(
    made: Document, presets: Iterable[Mapping[str, Any]] = (), known: str = "measured"
) -> None:
    """The laws of one layer, to move."""
    made.add(
        "what-if",
        "What if?",
        "Move a figure and see Δ move: the laws of one layer, exact for the numbers you set. What "
        "noise does through earlier norms is left out, and a network trained under other noise "
        "would have other weights too.",
        [Calculator(list(presets), known)],
    )


def direct_routes(structure: Structure) -> dict[str, list[Route]]:
    """By norm the routes of `structure.behind(norm)`, in one go: there can be 20,000 of them."""
    found: dict[str, list[Route]] = {norm.path: [] for norm in structure.norms}
    for route in structure.direct():
        found.setdefault(route.norm, []).append(route)
    return found


def preset(site: str, mean: float, var: float, tau: float, delta: float) -> dict[str, Any] | None:
    """Where the calculator can start from: one channel of a norm right behind noise.

    `delta` is that channel's own shift, which holds what comes through earlier norms too.
    """
    usable = var > 0 and 0 < tau < 1e6 and mean == mean
    exact = {"drop_p": tau / (1 + tau), "mean": mean, "var": var, "known": delta}
    numbers = {key: float(f"{value:.5g}") for key, value in exact.items()}
    return {"label": shortened(site, 60), **numbers} if usable else None
