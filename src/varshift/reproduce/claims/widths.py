"""Claim (vii): what width does to the shift, and to the angle of the filters."""

from __future__ import annotations

from collections.abc import Iterator

from varshift.reproduce.book import Book, mean_paper_ratio
from varshift.reproduce.claims.pooling import differences, parts_of
from varshift.reproduce.estimates import Part
from varshift.reproduce.nets import Placing
from varshift.reproduce.tables.layers import d_slope_within, wide_filters

__all__ = ["width_helps"]

NONE, B = Placing(), Placing("b", "dropout", 0.5)


def width_helps(book: Book) -> Iterator[Part]:
    """The widest against the narrowest of a family; and the filters of the usual widths."""

    def narrower(family: str) -> list[float]:
        widths = book.widths(family, B)
        if len(widths) < 2:
            return []
        return differences(
            book.figures(mean_paper_ratio, family, B, width=widths[-1]),
            book.figures(mean_paper_ratio, family, B, width=widths[0]),
        )

    def above(family: str) -> list[float]:
        return [wide_filters(one) for one in book.find(family, NONE).values()]

    def steep(family: str) -> list[float]:
        return [d_slope_within(one) for one in book.find(family, NONE).values()]

    yield from parts_of(" wide − narrow", book.families, narrower, high=0)
    yield from parts_of(" d·cos²θ", book.families, above, low=1)
    yield from parts_of(" slope over d", book.families, steep, low=0)
