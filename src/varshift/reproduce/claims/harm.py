"""Claims (viii) and (ix): noise that is said not to hurt."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from functools import partial
from itertools import combinations

from varshift.reproduce.book import Book, error
from varshift.reproduce.claims.pooling import differences, parts_of
from varshift.reproduce.estimates import Part
from varshift.reproduce.nets import NOISES, Placing, three_noises

__all__ = ["MARGIN", "head_is_harmless", "margin", "uout_is_harmless"]

# Points of test error: less than this is no harm. Fixed before anything was run.
MARGIN = 1.0


def margin(book: Book) -> float:
    """MARGIN, or a tenth of the error without noise where networks err less than ten percent."""
    errors = [value for f in book.families for value in book.figures(error, f).values()]
    return min([MARGIN, statistics.fmean(errors) / 10]) if errors else MARGIN


def head_is_harmless(book: Book) -> Iterator[Part]:
    """At every rate that was run."""
    for rate in sorted({r for f in book.families for r in book.amounts(f, "last", "dropout")}):
        harm = partial(_harm, book, Placing("last", "dropout", rate))
        yield from parts_of(f" drop {rate:g}", book.families, harm, high=margin(book))


def uout_is_harmless(book: Book) -> Iterator[Part]:
    """β up to 0.5 against none; then dropout, Gaussian and Uout against each other."""
    betas = {b for f in book.families for b in book.amounts(f, "b", "uout") if b <= 0.5}
    for beta in sorted(betas or {0.5}):
        harm = partial(_harm, book, Placing("b", "uout", beta))
        yield from parts_of(f" β {beta:g}", book.families, harm, high=margin(book))
    rates = {p for f in book.families for p in book.amounts(f, "b", "gaussian")}
    for drop_p in sorted(rates or {0.25}):
        yield from _shapes(book, drop_p)


def _shapes(book: Book, drop_p: float) -> Iterator[Part]:
    shapes = dict(zip(NOISES, three_noises(drop_p), strict=True))
    for first, second in combinations(shapes, 2):

        def gap(family: str, first: str = first, second: str = second) -> list[float]:
            return differences(
                book.figures(error, family, shapes[first]),
                book.figures(error, family, shapes[second]),
            )

        label = f" {first} − {second} at τ {drop_p / (1 - drop_p):.2g}"
        yield from parts_of(label, book.families, gap, low=-margin(book), high=margin(book))


def _harm(book: Book, placing: Placing, family: str) -> list[float]:
    return differences(book.figures(error, family, placing), book.figures(error, family, Placing()))
