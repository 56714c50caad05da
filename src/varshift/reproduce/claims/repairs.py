"""Claims (v), (vi) and (x): what the shift costs, and what adjusting wins back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from varshift.reproduce.book import Book, Figure, error, excess, mean_paper_ratio, repaired_error
from varshift.reproduce.claims.pooling import beside, differences, parts_of
from varshift.reproduce.estimates import Part
from varshift.reproduce.lines import rank_correlation
from varshift.reproduce.nets import Placing
from varshift.reproduce.paper import RATES

__all__ = ["adjusting_recovers", "error_follows_shift", "training_suffers"]

NONE = Placing()
A, B = Placing("a", "dropout", 0.5), Placing("b", "dropout", 0.5)
ADJUSTED = repaired_error("adjust-live")


def error_follows_shift(book: Book) -> Iterator[Part]:
    """Seed by seed over all dropout rates and places of a network.

    The test error also grows because noise slows training; what evaluation mode adds on the very
    images that were trained on does not know that, and is the cleaner of the two.
    """
    for label, figure in ((" test error", error), (" added in evaluation", excess)):

        def follows(family: str, figure: Figure = figure) -> list[float]:
            return _correlations(book, family, figure)

        yield from parts_of(label, book.families, follows, low=0)


def _correlations(book: Book, family: str, figure: Figure) -> list[float]:
    sides: tuple[Literal["a", "b"], ...] = ("a", "b")
    placings = [NONE] + [
        Placing(place, "dropout", rate)
        for place in sides
        for rate in book.amounts(family, place, "dropout")
        if rate in RATES
    ]
    shifts = [book.figures(mean_paper_ratio, family, placing) for placing in placings]
    costs = [book.figures(figure, family, placing) for placing in placings]
    seeds = sorted({seed for one in shifts for seed in one})
    found = []
    for seed in seeds:
        there = [k for k, one in enumerate(shifts) if seed in one]
        found.append(
            rank_correlation([shifts[k][seed] for k in there], [costs[k][seed] for k in there])
        )
    return found


def adjusting_recovers(book: Book) -> Iterator[Part]:
    """(a) decides; at (b) the paper's own gains are near its noise."""

    def won(family: str) -> list[float]:
        return _won(book, family, A)

    def left(family: str) -> list[float]:
        return differences(book.figures(ADJUSTED, family, A), book.figures(error, family, NONE))

    def behind(family: str) -> list[float]:
        ensemble = repaired_error("noisy ensemble")
        return differences(book.figures(ADJUSTED, family, A), book.figures(ensemble, family, A))

    yield from parts_of(" (a) won", book.families, won, low=0)
    yield from parts_of(" (a) still lost", book.families, left, low=0)
    yield from beside(" (a) behind the noisy ensemble", book.families, behind, low=0)
    yield from beside(" (b) won", book.families, lambda family: _won(book, family, B), low=0)


def _won(book: Book, family: str, placing: Placing) -> list[float]:
    return differences(
        book.figures(error, family, placing), book.figures(ADJUSTED, family, placing)
    )


def training_suffers(book: Book) -> Iterator[Part]:
    """(a) decides; without dropout the same figure shows what the two modes differ by anyway."""

    def lost(family: str) -> list[float]:
        return list(book.figures(excess, family, A).values())

    def lost_without(family: str) -> list[float]:
        return list(book.figures(excess, family, NONE).values())

    yield from parts_of(" (a)", book.families, lost, low=0)
    yield from beside(" no dropout", book.families, lost_without, low=0)
