"""Claims (i) and (ii): how large the shift is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Literal

from varshift.reproduce.book import Book, mean_paper_ratio
from varshift.reproduce.claims.pooling import differences, parts_of
from varshift.reproduce.estimates import Part
from varshift.reproduce.nets import Placing
from varshift.reproduce.paper import RATES

__all__ = ["direct_shifts_more", "grows_with_rate"]

Side = Literal["a", "b"]
SIDES: tuple[Side, ...] = ("a", "b")


def _at(place: Side, rate: float) -> Placing:
    return Placing(place, "dropout", rate) if rate else Placing()


def grows_with_rate(book: Book) -> Iterator[Part]:
    """From none to 0.5 in every network, and from rate to rate where more were run."""
    for place in SIDES:
        run = sorted({r for f in book.families for r in book.amounts(f, place, "dropout")})
        chain = [0.0, *(rate for rate in run if rate in RATES)]
        for lower, upper in dict.fromkeys([(0.0, 0.5), *pairwise(chain)]):
            step = partial(_step, book, place, lower, upper)
            yield from parts_of(f" ({place}) {lower:g} → {upper:g}", book.families, step, low=0)


def _step(book: Book, place: Side, lower: float, upper: float, family: str) -> list[float]:
    return differences(
        book.figures(mean_paper_ratio, family, _at(place, upper)),
        book.figures(mean_paper_ratio, family, _at(place, lower)),
    )


def direct_shifts_more(book: Book) -> Iterator[Part]:
    """At drop 0.5, the same seeds on both sides."""

    def gap(family: str) -> list[float]:
        return differences(
            book.figures(mean_paper_ratio, family, _at("a", 0.5)),
            book.figures(mean_paper_ratio, family, _at("b", 0.5)),
        )

    yield from parts_of(" (a) − (b)", book.families, gap, low=0)
