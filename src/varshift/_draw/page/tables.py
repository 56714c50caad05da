"""Tables as a page shows them: every column, names cut together, a mark of the grade in words."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from varshift._draw.document import Cell, Column, Row, Table, Tone
from varshift._draw.names import fitted

__all__ = ["LaidCell", "LaidRow", "LaidTable", "lay_table"]

_MOST = 400  # rows; nobody reads more of them on a page
_NAME = 40  # characters of a name; its title has all of it
_SEARCHED = 20  # rows beyond which a page offers a search
_PRINTED = 60  # rows on paper
_COLUMNS = 24  # that the style sheet knows by number
_SAME = 2e-3  # relative; a number that is written says its place in the order
_NUMBER = re.compile(r"[-−]?\d+(\.\d+)?(e[-+]?\d+)?(?![\d,])")
_PLACE = Column("#", "place in the model")


@dataclass(frozen=True)
class LaidCell:
    """What is written, what a table sorts by where that is not the text, and what was cut."""

    text: str
    style: str
    sort: str | None = None
    title: str = ""


@dataclass(frozen=True)
class LaidRow:
    """Cells under the columns."""

    cells: Sequence[LaidCell]
    tone: Tone


@dataclass(frozen=True)
class LaidTable:
    """A table with its caption, columns and rows; the column `marked` has the grade.

    `kinds` are classes that say which columns hold numbers (`n2`) and which wrap (`w3`): one for a
    column, not one for a cell.
    """

    caption: str
    columns: Sequence[Column]
    kinds: str
    rows: Sequence[LaidRow]
    below: Sequence[str]
    marked: int

    @property
    def searched(self) -> bool:
        """Whether there are so many rows that a reader looks for one."""
        return len(self.rows) > _SEARCHED

    @property
    def cut_on_paper(self) -> str:
        """What paper leaves out."""
        if len(self.rows) <= _PRINTED:
            return ""
        return f"On paper: the first {_PRINTED} of {len(self.rows)} rows."

    @property
    def explained(self) -> Sequence[Column]:
        """The columns whose meaning is told."""
        return [column for column in self.columns if column.meaning]


def lay_table(table: Table) -> LaidTable:
    """The table with all of its columns, and with 400 of its rows at most."""
    shown = table.heaviest(_MOST)
    caption = shown.title
    if shown.selection:
        caption = f"{caption}. {shown.selection}; to_dict() has all".removeprefix(". ")
    columns, rows = list(shown.columns), list(shown.rows)
    if table.numbered:
        columns = [_PLACE, *columns]
        rows = [_placed(row, table) for row in rows]
    cells = [_column([row.cells[index] for row in rows]) for index in range(len(columns))]
    laid = [
        LaidRow([column[index] for column in cells], row.tone) for index, row in enumerate(rows)
    ]
    kinds = [_kind(column, rows, index) for index, column in enumerate(columns[:_COLUMNS])]
    return LaidTable(
        caption,
        columns,
        " ".join(filter(None, kinds)),
        laid,
        shown.below,
        _marked(columns, rows),
    )


def _marked(columns: Sequence[Column], rows: Sequence[Row]) -> int:
    """The column that says the grade, or else the first with words; -1 where no row has any."""
    if all(row.tone == "none" for row in rows):
        return -1
    worded = [index for index, column in enumerate(columns) if not column.numeric]
    graded = [index for index in worded if columns[index].name == "grade"]
    return next(iter([*graded, *worded]), 0)


def _placed(row: Row, table: Table) -> Row:
    """With the row's place in the model in front; the heaviest rows keep their own places."""
    place = next(index for index, each in enumerate(table.rows, 1) if each is row)
    return Row([Cell(str(place), sort=float(place)), *row.cells], row.weight, row.tone)


def _kind(column: Column, rows: Sequence[Row], index: int) -> str:
    """The class by which a table knows how this column's cells stand."""
    if column.numeric:
        return f"n{index + 1}"
    return f"w{index + 1}" if any(row.cells[index].kind == "words" for row in rows) else ""


def _column(column: Sequence[Cell]) -> list[LaidCell]:
    """Names are cut together, so that no two that differ come out alike."""
    names = dict.fromkeys(cell.text for cell in column if cell.kind == "name")
    cut = fitted(names, _NAME)
    return [_cell(cell, cut[cell.text] if cell.kind == "name" else cell.text) for cell in column]


def _cell(cell: Cell, text: str) -> LaidCell:
    written = f"{cell.before}{text}{cell.after}"
    if cell.kind == "name" and not written:
        written = "(the model itself)"
    title = cell.text if text != cell.text else ""
    sort = _sort(cell.sort, written) if cell.sort is not None else title or None
    return LaidCell(written, cell.style, sort, title)


def _sort(value: float | str, written: str) -> str | None:
    """What a table sorts by; None where that is the number that the cell begins with."""
    if isinstance(value, str):
        return value if value != written else None
    if math.isnan(value):
        return ""  # last, whichever way a table is sorted
    first = _NUMBER.match(written)
    if first and math.isclose(float(first[0].replace("−", "-")), value, rel_tol=_SAME):
        return None
    return f"{value:.7g}"
