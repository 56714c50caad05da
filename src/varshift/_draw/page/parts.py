"""What a page is made of: sections of words, pictures, tables and one calculator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from varshift._counting import plural
from varshift._draw.figures import figure, shortened
from varshift._draw.page.canvas import Canvas

__all__ = [
    *("Body", "Cell", "Column", "Entries", "Entry", "Missing", "Part", "Section", "Table"),
    "WhatIf",
    *("chance_cell", "counted", "name_cell", "names_cell", "number_cell"),
]

_MOST = 400  # rows of a table that may have any number
_NAMES = 3  # names in one cell
_NAME = 40  # characters of a name in a table; the title has all of it


@dataclass(frozen=True)
class Column:
    """A heading, what it means, and whether its cells are numbers."""

    name: str
    meaning: str = ""
    numeric: bool = True
    wraps: bool = False

    @property
    def kind(self) -> str:
        """The class of its cells."""
        return "number" if self.numeric else "wraps" if self.wraps else ""


@dataclass(frozen=True)
class Cell:
    """What is written, what a table sorts by, and the full text where it was cut."""

    text: str
    sort: float | str = ""
    title: str = ""


@dataclass(frozen=True)
class Table:
    """A table that sorts by any of its columns."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    kind: str = "table"

    @classmethod
    def of_many(
        cls, noun: str, columns: Sequence[Column], rows: Iterable[Sequence[Cell]], count: int
    ) -> Table:
        """A table that may grow with the square of the model: its first rows, and how many more.

        A chain of 150 residual blocks has 22,000 routes; a page of them opens in seconds, not at
        once, and nobody reads them there. `rows` beyond the first are not even made.
        """
        caption = counted(count, noun)
        if count > _MOST:
            caption = f"the first {_MOST} of {caption}; to_dict() has all"
        return cls(caption, columns, list(islice(rows, _MOST)))


@dataclass(frozen=True)
class WhatIf:
    """The calculator: where it starts, and sites of the model it can start from instead.

    `known` says how a preset's own Δ came about.
    """

    presets: Sequence[Mapping[str, Any]] = ()
    known: str = "measured"
    kind: str = "what-if"


@dataclass(frozen=True)
class Entry:
    """A heading, what is said under it, a formula, and where to read on."""

    title: str
    lines: Sequence[str]
    formula: str = ""
    page: str = ""
    link: str = ""


@dataclass(frozen=True)
class Entries:
    """Entries below each other."""

    entries: Sequence[Entry]
    kind: str = "entries"


Part = Canvas | Table | WhatIf | Entries


@dataclass(frozen=True)
class Section:
    """One chapter of a page; `key` is its anchor."""

    key: str
    title: str
    lead: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Missing:
    """What this result's numbers cannot show, and the call that would."""

    what: str
    how: str


@dataclass
class Body:
    """All that a page says about one result; the frame around it is the same for all."""

    summary: list[str]
    sections: list[Section] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)

    def add(self, key: str, title: str, lead: str, parts: Iterable[Part]) -> None:
        """A further section, unless there is nothing to put in it."""
        kept = list(parts)
        if kept:
            self.sections.append(Section(key, title, lead, kept))


def name_cell(name: str) -> Cell:
    """A name, cut from the left where it is long, in full in the title."""
    cut = shortened(name, _NAME)
    return Cell(cut or "(the model itself)", name, name if cut != name else "")


def chance_cell(p_value: float) -> Cell:
    """A p-value; one that has run out of digits is not nothing."""
    return number_cell(p_value, 2) if p_value > 1e-16 else Cell("< 1e-16", p_value)


def names_cell(names: Iterable[str]) -> Cell:
    """The first names of several, and how many more."""
    every = list(dict.fromkeys(names))
    more = f" and {len(every) - _NAMES} more" if len(every) > _NAMES else ""
    cell = name_cell(", ".join(every[:_NAMES]) or "—")
    return Cell(cell.text + more, str(cell.sort) + more, cell.title)


def counted(count: int, noun: str) -> str:
    """`1 norm`, `3,000 norms`: a page has room for the commas that a table has not.

    >>> counted(1, "norm"), counted(3000, "batch")
    ('1 norm', '3,000 batches')
    """
    return f"{count:,} {plural(count, noun)}"


def number_cell(value: float | int | None, digits: int = 4) -> Cell:
    """A number, sorted by itself; what is not known is sorted last."""
    if value is None or value != value:
        return Cell("—", "")
    return Cell(figure(float(value), digits), float(value))
