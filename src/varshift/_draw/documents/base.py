"""The document of a result; one that has no builder of its own shows its rows."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from varshift._base import Result
from varshift._draw.document import Cell, Column, Document, Row, Table
from varshift._draw.documents.cells import name, number

__all__ = ["document"]


@singledispatch
def document(result: Any) -> Document:
    """All that is said of a result, however it is drawn."""
    if not isinstance(result, Result):
        raise TypeError(f"nothing is drawn for a {type(result).__name__}")
    made = Document(getattr(result, "reason", ""), notes=getattr(result, "notes", ()))
    rows = result.rows()
    if rows:
        columns = [Column(key, numeric=_numeric(rows, key)) for key in rows[0]]
        drawn = [Row([_cell(row[key]) for key in rows[0]]) for row in rows]
        made.add("figures", "Figures", "", [Table("", columns, drawn)])
    return made


def _numeric(rows: list[dict[str, Any]], key: str) -> bool:
    return all(isinstance(row[key], (int, float, type(None))) for row in rows)


def _cell(value: Any) -> Cell:
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    if value is None or isinstance(value, (int, float)):
        return number(value)
    return name(", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))
