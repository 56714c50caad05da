"""Claims (i) to (v), which the paper reads from Figure 4: size of the shift, place, and cost."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from itertools import pairwise

from varshift.reproduce.book import (
    NONE,
    A,
    B,
    Book,
    Figure,
    alive,
    dropout,
    error,
    excess,
    mean_paper_ratio,
)
from varshift.reproduce.claims import Claim, parts_of
from varshift.reproduce.estimates import Part
from varshift.reproduce.lines import rank_correlation, slope
from varshift.reproduce.nets import Place, Placing
from varshift.reproduce.records import Record

__all__ = ["CLAIMS", "RATES", "SIDES"]

RATES = (0.0, 0.1, 0.3, 0.5, 0.7)  # of the paper's Figure 4
SIDES: tuple[Place, ...] = ("a", "b")


def _grows_with_rate(book: Book) -> Iterator[Part]:
    """From none to 0.5 in every network, and from rate to rate where more were run."""
    for side in SIDES:
        chain = [0.0, *(rate for rate in book.amounts(side, "dropout") if rate in RATES)]
        for lower, upper in dict.fromkeys([(0.0, 0.5), *pairwise(chain)]):
            above, below = ((mean_paper_ratio, dropout(side, rate)) for rate in (upper, lower))
            step = book.gap(above, below)
            yield from parts_of(book, f" ({side}) {lower:g} → {upper:g}", step, low=0)


def _direct_shifts_more(book: Book) -> Iterator[Part]:
    """At drop 0.5, the same seeds on both sides."""
    gap = book.gap((mean_paper_ratio, A), (mean_paper_ratio, B))
    yield from parts_of(book, " (a) − (b)", gap, low=0)


def _direct_law(book: Book) -> Iterator[Part]:
    """At the norms right behind a dropout of 0.5: the size, and what the mean's term explains."""
    yield from parts_of(book, " relative to 1/keep_p", book.each(_relative, A), low=0.8, high=1.25)
    yield from parts_of(book, " misfit won by c²/v", book.each(_won, A), low=0)


def _hit(record: Record) -> list[Record]:
    return [site for site in alive(record) if "theory" in site]


def _relative(record: Record) -> float:
    logs = [math.log(site["theory_without_mean"] / site["shift"]) for site in _hit(record)]
    return math.exp(statistics.fmean(logs))


def _won(record: Record) -> float:
    sites = _hit(record)
    return statistics.fmean(site["misfit_without_mean"] - site["misfit"] for site in sites)


def _grows_with_depth(book: Book) -> Iterator[Part]:
    """Where no one-layer law applies: behind the first dropout, past other norms."""
    yield from parts_of(book, " (a)", book.each(_slope, A), low=0)
    yield from parts_of(book, " (b)", book.each(_slope, B), low=0)


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


def _error_follows_shift(book: Book) -> Iterator[Part]:
    """Seed by seed over all dropout rates and places of a network.

    The test error also grows because noise slows training; what evaluation mode adds on the very
    images that were trained on does not know that, and is the cleaner of the two.
    """
    yield from parts_of(book, " test error", _follows(book, error), low=0)
    yield from parts_of(book, " added in evaluation", _follows(book, excess), low=0)


def _follows(book: Book, cost: Figure) -> Callable[[str], list[float]]:
    def found(family: str) -> list[float]:
        points: dict[int, list[tuple[float, float]]] = {}
        for placing in (NONE, *_dropped(book, family)):
            for one in book.find(family, placing):
                points.setdefault(one["run"]["seed"], []).append((mean_paper_ratio(one), cost(one)))
        return [rank_correlation(*zip(*seen, strict=True)) for _, seen in sorted(points.items())]

    return found


def _dropped(book: Book, family: str) -> Iterator[Placing]:
    for side in SIDES:
        rates = book.amounts(side, "dropout", family)
        yield from (dropout(side, rate) for rate in rates if rate in RATES)


CLAIMS = (
    Claim(
        *("i", "The shift grows with the drop rate, in (a) and in (b)."),
        "Figure 4",
        "difference of the mean shift ratio between two drop rates; above 0",
        _grows_with_rate,
    ),
    Claim(
        *("ii", "Dropout-(a) shifts more than Dropout-(b)."),
        "Figure 4",
        "mean shift ratio at (a) less that at (b), drop 0.5; above 0",
        _direct_shifts_more,
    ),
    Claim(
        *("iii", "Norms hit directly show 1/keep_p, and the law's term c²/v."),
        "equation 8, Figure 4",
        "train over test variance, relative to 1/keep_p, between 0.8 and 1.25; and by how much "
        "the law with c²/v misses less (log), above 0",
        _direct_law,
    ),
    Claim(
        *("iv", "The shift grows with depth."),
        "Figure 4",
        "slope of log max(r, 1/r) over relative depth, from the first norm that dropout feeds on, "
        "at norms it does not feed but through other norms; above 0",
        _grows_with_depth,
    ),
    Claim(
        *("v", "The test error grows with the shift."),
        "Figure 4",
        "rank correlation of mean shift ratio and test error over the drop rates of a network; "
        "and of the shift and what evaluation mode adds to the error on training images; above 0",
        _error_follows_shift,
    ),
)
