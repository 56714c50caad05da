"""Sheets by the name of their experiment."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from varshift.reproduce.book import Book
from varshift.reproduce.sheet import Sheet
from varshift.reproduce.tables.errors import table3, table4, table6
from varshift.reproduce.tables.layers import figure1, figure3, figure4, figure5, table1

__all__ = ["sheets_of"]

SHEETS: dict[str, Callable[[Book], Iterator[Sheet]]] = {
    "fig1": figure1,
    "fig3": figure3,
    "fig4": figure4,
    "fig5": figure5,
    "table1": table1,
    "table3": table3,
    "table4": table4,
    "table6": table6,
}


def sheets_of(name: str, book: Book) -> list[Sheet]:
    """The tables of one experiment, from whatever records there are."""
    return list(SHEETS[name](book))
