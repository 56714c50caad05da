"""Tables of the one document from strings, and how figures over seeds are written in them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from varshift._draw.document import Cell, Column, Row, Table
from varshift._draw.pictures.described import Interval, Role
from varshift.reproduce.estimates import Estimate, estimate

__all__ = ["PAPER_ROW", "interval", "number", "over_seeds", "spread", "table"]

PAPER_ROW = "  paper"  # the label of a row of printed figures, below the measured ones
LONG = 20  # letters of a cell that may go over several lines


def table(
    title: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *below: str,
    wide: bool = False,
) -> Table:
    """A table of strings; printed figures stand back behind the measured ones."""
    columns = [Column(head, numeric=bool(index)) for index, head in enumerate(heads)]
    return Table(title, columns, list(map(_row, rows)), wide=wide, below=below)


def _row(cells: Sequence[str]) -> Row:
    made = [Cell(text, "words" if len(text) >= LONG else "figure") for text in cells]
    return Row(made, tone="known" if cells[0] == PAPER_ROW else "none")


def number(value: float, digits: int = 2) -> str:
    """A figure, or a dash where there is none.

    >>> number(1.234), number(float("nan"))
    ('1.23', '–')
    """
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def spread(values: Iterable[float], digits: int = 2) -> str:
    """Mean ± standard deviation over seeds, as tables of such runs have it.

    >>> spread([1.0, 2.0, 3.0]), spread([1.0]), spread([])
    ('2.00 ± 1.00', '1.00', '–')
    """
    found = estimate(values)
    if len(found.values) < 2:
        return number(found.mean, digits)
    return f"{number(found.mean, digits)} ± {number(statistics.stdev(found.values), digits)}"


def interval(found: Estimate, digits: int = 2) -> str:
    """Mean and its interval."""
    if math.isnan(found.low):
        return number(found.mean, digits)
    return f"{found.mean:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def over_seeds(name: str, values: Iterable[float], role: Role) -> Interval:
    """A row of a picture: the mean over seeds, from the smallest to the largest of them."""
    told = estimate(values)
    low, high = min(told.values, default=math.nan), max(told.values, default=math.nan)
    return Interval(name, told.mean, low, high, role, f"{len(told.values)} seeds")
