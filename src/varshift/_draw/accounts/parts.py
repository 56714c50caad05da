"""What an account of a result is made of, for a terminal and for a notebook alike. Needs no rich.

An account opens with a sentence, goes on with tables and what their figures mean, and ends with
what could be done next and what could not be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any, TypeVar

from varshift._base import Result
from varshift._draw.figures import figure, shortened
from varshift._visible import flat

__all__ = [
    *("MOST", "Account", "Cell", "Name", "Row", "Sheet", "Words"),
    *("account", "by_reason", "line", "named", "plain_sheet", "told", "worst"),
]

MOST = 25  # rows of one table; a result's to_dict() has all of them
_LISTED = 4  # norms of a note that are called by name
_REPR = 200  # characters of a sentence in a repr
_Key = TypeVar("_Key", bound=Hashable)
_SAID = 80  # columns of a name within a sentence, which has several lines


@dataclass(frozen=True)
class Name:
    """A name, cut from the left where room is short; what stands before and after it is kept."""

    text: str
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        return f"{self.before}{self.text}{self.after}"


@dataclass(frozen=True)
class Words:
    """Text that may go over several lines."""

    text: str
    style: str = ""

    def __str__(self) -> str:
        return self.text


Cell = str | Name | Words  # a plain string is a figure: neither cut nor folded


@dataclass(frozen=True)
class Row:
    """Cells under the headings; a marked row stands out."""

    cells: Sequence[Cell]
    marked: bool = False


@dataclass(frozen=True)
class Sheet:
    """One table. Of `total` rows there were, `rows` holds the first, or the worst."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Row]
    total: int
    chosen: str = "first"

    @property
    def left_off(self) -> int:
        """How many rows there are beyond those shown."""
        return self.total - len(self.rows)

    @property
    def selection(self) -> str:
        """Which of the rows these are; "" where they are all."""
        if not self.left_off:
            return ""
        order = ", in the model's order" if self.chosen == "worst" else ""
        return f"The {len(self.rows)} {self.chosen} of {self.total}{order}"


@dataclass(frozen=True)
class Account:
    """All that is said of a result.

    Attributes:
        head: the answer, in a sentence or a few.
        detail: what goes with it, in plain type.
        lines: what the figures mean.
        next: what to do now, in names that are functions and commands alike; "" for nothing.
        notes: what could not be seen, and what else a reader must know.
    """

    head: str
    sheets: Sequence[Sheet] = ()
    lines: Sequence[str] = ()
    next: str = ""
    notes: Sequence[str] = ()
    detail: str = ""


@singledispatch
def account(result: Any, most: int = MOST) -> Account:
    """What is said of a result, each table with so many rows at most."""
    if not isinstance(result, Result):
        raise TypeError(f"nothing is drawn for a {type(result).__name__}")
    rows = result.rows()
    headings = list(rows[0] if rows else ())
    drawn = [Row([_cell(row[name]) for name in headings]) for row in rows[:most]]
    sheets = [Sheet("", headings, drawn, len(rows))] if rows else []
    return Account("", sheets, notes=getattr(result, "notes", ()))


def told(result: Any, most: int = MOST) -> Account:
    """The account as it may be shown: what a name holds of control characters is written out."""
    said = account(result, most)
    return Account(
        flat(said.head),
        [plain_sheet(sheet) for sheet in said.sheets],
        list(map(flat, said.lines)),
        flat(said.next),
        list(map(flat, said.notes)),
        flat(said.detail),
    )


def plain_sheet(sheet: Sheet) -> Sheet:
    """The same for one table."""
    rows = [replace(row, cells=list(map(_plain, row.cells))) for row in sheet.rows]
    headings = list(map(flat, sheet.headings))
    return replace(sheet, title=flat(sheet.title), headings=headings, rows=rows)


def _plain(cell: Cell) -> Cell:
    if isinstance(cell, Name):
        return Name(flat(cell.text), flat(cell.before), flat(cell.after))
    return replace(cell, text=flat(cell.text)) if isinstance(cell, Words) else flat(cell)


def line(result: Result) -> str:
    """What `repr` shows: the first sentence, and where the rest is."""
    said = told(result, 0)
    head = " ".join((said.head, said.detail)).strip()
    cut = head if len(head) <= _REPR else f"{head[:_REPR]}…"
    return f"<{type(result).__name__}: {cut} .table(), .to_frame()>"


def _cell(value: Any) -> Cell:
    if value is None or isinstance(value, float):
        return figure(value, 4)
    return Name(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def named(text: str) -> str:
    """A name within a sentence; that of the whole model is empty."""
    return shortened(text, _SAID) or "the model itself"


def worst(names: Iterable[_Key], size: Callable[[_Key], float], most: int) -> list[_Key]:
    """The largest, in the order they came in; what has no size is last."""
    every = list(names)

    def known(name: _Key) -> float:
        value = size(name)
        return value if value == value else float("-inf")

    kept = set(sorted(every, key=known, reverse=True)[:most])
    return [name for name in every if name in kept]


def by_reason(skipped: Mapping[str, str], what: str = "") -> Iterator[str]:
    """One note for all sites that share a reason, with what was not done to them."""
    grouped: dict[str, list[str]] = {}
    for path, reason in skipped.items():
        grouped.setdefault(reason, []).append(path)
    for reason, paths in grouped.items():
        more = f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
        listed = ", ".join(path or "the model itself" for path in paths[:_LISTED])
        yield f"{listed}{more}: {what}{reason}"
