"""The page of a result that has no drawing of its own: its rows as a table, names as they are."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from varshift._base import Result
from varshift._draw.page.parts import Body, Cell, Column, Table, counted, name_cell, number_cell

__all__ = ["body", "rows_table"]


@singledispatch
def body(result: Result) -> Body:
    """All that the page says about `result`."""
    reason, rows = getattr(result, "reason", ""), len(result.rows())
    counts = [f"{counted(rows, 'line')} in the table below."] if rows else []
    made = Body([reason] if reason else counts)
    made.add("figures", "Figures", "", rows_table(result, "All figures"))
    return made


def rows_table(result: Result, caption: str, *, numbered: bool = False) -> list[Table]:
    """`result.rows()` as a table; nothing where there are no rows.

    `numbered` puts each row's place first, as pictures of many norms have it.
    """
    rows = result.rows()
    if not rows:
        return []
    columns = [Column(name, numeric=_numeric(rows, name)) for name in rows[0]]
    cells = [[_cell(row[name]) for name in rows[0]] for row in rows]
    if numbered:
        columns = [Column("#", "place in the model"), *columns]
        cells = [[number_cell(index), *row] for index, row in enumerate(cells, 1)]
    return [Table(caption, columns, cells)]


def _numeric(rows: list[dict[str, Any]], name: str) -> bool:
    return all(isinstance(row[name], (int, float, type(None))) for row in rows)


def _cell(value: Any) -> Cell:
    if isinstance(value, bool):
        return Cell("yes" if value else "no", str(value))
    if value is None or isinstance(value, (int, float)):
        return number_cell(value)
    return name_cell(", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))
