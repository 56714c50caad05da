"""Claims (iii) and (iv): where in the network the shift stands."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

from varshift.reproduce.book import Book, Record, alive
from varshift.reproduce.claims.pooling import parts_of
from varshift.reproduce.estimates import Part
from varshift.reproduce.lines import slope
from varshift.reproduce.nets import Placing

__all__ = ["direct_law", "grows_with_depth"]

A, B = Placing("a", "dropout", 0.5), Placing("b", "dropout", 0.5)


def direct_law(book: Book) -> Iterator[Part]:
    """At the norms right behind a dropout of 0.5: the size, and what the mean's term explains."""

    def size(family: str) -> list[float]:
        return [_relative(one) for one in book.find(family, A).values()]

    def won(family: str) -> list[float]:
        return [_won(one) for one in book.find(family, A).values()]

    yield from parts_of(" relative to 1/keep_p", book.families, size, low=0.8, high=1.25)
    yield from parts_of(" misfit won by c²/v", book.families, won, low=0)


def _hit(record: Record) -> list[Record]:
    return [site for site in alive(record) if "theory" in site]


def _relative(record: Record) -> float:
    logs = [math.log(site["theory_without_mean"] / site["shift"]) for site in _hit(record)]
    return math.exp(statistics.fmean(logs))


def _won(record: Record) -> float:
    sites = _hit(record)
    return statistics.fmean(site["misfit_without_mean"] - site["misfit"] for site in sites)


def grows_with_depth(book: Book) -> Iterator[Part]:
    """Where no one-layer law applies: behind the first dropout, past other norms."""
    for label, placing in ((" (a)", A), (" (b)", B)):

        def steeper(family: str, placing: Placing = placing) -> list[float]:
            return [_slope(one) for one in book.find(family, placing).values()]

        yield from parts_of(label, book.families, steeper, low=0)


def _slope(record: Record) -> float:
    """Norms before the first dropout are left out: they cannot shift, and would tilt the line."""
    sites = record["sites"]
    first = next((place for place, site in enumerate(sites) if site["placements"]), len(sites))
    points = [
        (place / max(1, len(sites) - 1), abs(math.log(site["paper"])))
        for place, site in enumerate(sites)
        if place > first and site["live"] and not site["placements"]
    ]
    return slope([x for x, _ in points], [y for _, y in points])
