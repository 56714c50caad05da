"""A table as strings: drawn in a terminal or written as Markdown by whoever holds it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from varshift.reproduce.estimates import Estimate

__all__ = ["PAPER_ROW", "Sheet", "interval", "number", "spread"]

PAPER_ROW = "  paper"  # the label of a row of printed figures, below the measured ones


@dataclass(frozen=True)
class Sheet:
    """Title, headings, rows of the same length, and notes below."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """A heading of the third level, the table, and the notes as paragraphs."""
        lines = [f"### {self.title}", "", _row(self.headings), _row(["---"] * len(self.headings))]
        lines += [_row(row) for row in self.rows]
        for note in self.notes:
            lines += ["", note]
        return "\n".join(lines) + "\n"


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def number(value: float, digits: int = 2) -> str:
    """A figure, or a dash where there is none.

    >>> number(1.234), number(float("nan"))
    ('1.23', '–')
    """
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def spread(found: Estimate, digits: int = 2) -> str:
    """Mean ± standard deviation over seeds, as tables of such runs have it."""
    if len(found.values) < 2:
        return number(found.mean, digits)
    middle = found.mean
    deviation = math.sqrt(
        sum((value - middle) ** 2 for value in found.values) / (len(found.values) - 1)
    )
    return f"{number(middle, digits)} ± {number(deviation, digits)}"


def interval(found: Estimate, digits: int = 2) -> str:
    """Mean and its interval."""
    if math.isnan(found.low):
        return number(found.mean, digits)
    return f"{found.mean:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"
