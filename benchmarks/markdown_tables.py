"""Rows of tables in Markdown, for the pages that benchmarks write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["head", "row", "table"]


def head(*names: str, words: int = 1) -> str:
    """The headings and the line below them; all columns but the first `words` are figures."""
    return row(*names) + "\n|" + "---|" * words + "---:|" * (len(names) - words)


def table(names: Sequence[str], rows: Iterable[Sequence[object]], *, words: int = 1) -> str:
    """A whole table, without a line's end behind it."""
    return "\n".join([head(*names, words=words), *(row(*cells) for cells in rows)])


def row(*cells: object) -> str:
    """One row; whole numbers by thousands.

    >>> row("a", 1234, "2.5")
    '| a | 1,234 | 2.5 |'
    """
    told = (f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells)
    return f"| {' | '.join(told)} |"
