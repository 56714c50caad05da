"""One table or figure of the paper: what it is made of, and how it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from varshift._draw.document import Table
from varshift._draw.pictures.described import Picture
from varshift.errors import UsageError
from varshift.reproduce.book import Book, Values
from varshift.reproduce.claims import Claim
from varshift.reproduce.nets import Placing
from varshift.reproduce.run import Run
from varshift.reproduce.scales import Scale
from varshift.reproduce.tables import PAPER_ROW, number, spread

__all__ = ["Cells", "Experiment", "Printed", "narrowed", "runs_of", "with_paper"]

Cells = Iterator[tuple[str, Placing, int | None]]
Printed = dict[tuple[str, str], tuple[float, ...]]
"""What the paper printed: means of five runs, no deviations given; by data and network."""


@dataclass(frozen=True)
class Experiment:
    """One table or figure.

    Attributes:
        name: what the command line calls it.
        title: what it shows.
        cells: the (network, placing, width) that it needs at a scale.
        tables: its rows, from whatever records of a data set there are, the paper's own beside.
        picture: the same to look at.
        claims: what the paper reads from it.
    """

    name: str
    title: str
    cells: Callable[[Scale], Cells]
    tables: Callable[[Book], Iterable[Table]]
    picture: Callable[[Book], Picture]
    claims: tuple[Claim, ...] = ()


def with_paper(book: Book, columns: Sequence[Values], printed: Printed) -> Iterator[Sequence[str]]:
    """A row for each network, its figures over seeds, and below it what the paper printed."""
    for family in book.families:
        yield family, *(spread(values(family)) for values in columns)
        if told := printed.get((book.data, family)):
            yield PAPER_ROW, *map(number, told)


def runs_of(experiments: Sequence[Experiment], scale: Scale, seeds: int | None = None) -> list[Run]:
    """The runs of some experiments, each once, on all data sets of the scale.

    Without a number of seeds, as many as the scale has for each kind of network. Ordered by seed
    within an experiment, so that a whole table stands early, if roughly.
    """
    if seeds is not None and seeds < 1:
        raise UsageError(f"--seeds {seeds}; at least one is needed")
    found: dict[Run, None] = {}
    for experiment in experiments:
        for name in scale.images:
            cells = [
                (cell, scale.seeds_of(*cell) if seeds is None else seeds)
                for cell in experiment.cells(scale)
                if scale.trains(cell[0], name, cell[2])
            ]
            for seed in range(max((count for _, count in cells), default=0)):
                for (family, placing, width), count in cells:
                    if seed < count:
                        found[scale.run(family, placing, seed, data=name, width=width)] = None
    return list(found)


def narrowed(
    runs: Sequence[Run], *, network: str | None = None, data: str | None = None
) -> list[Run]:
    """Those of one network family, of one set of images, or both; UsageError where none is."""

    def held(what: str, wanted: str | None, of: Callable[[Run], str]) -> list[Run]:
        kept = [run for run in runs if wanted in (None, of(run))]
        if not kept:
            there = ", ".join(dict.fromkeys(map(of, runs)))
            raise UsageError(f"--{what} {wanted!r} is none of those to be run: {there}")
        return kept

    runs = held("network", network, lambda run: run.shape.family)
    return held("data", data, lambda run: run.images.name)
