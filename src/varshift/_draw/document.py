"""The one telling of a result: what a terminal, a page, a notebook and a plot draw.

A builder makes a `Document` of each kind of result (`varshift._draw.documents`). It says what
there is and in which order; how wide a table is, where a name is cut and what a colour looks like
is for those that draw it. Nothing here is escaped or styled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from varshift._draw.pictures.described import Picture
from varshift._visible import flat
from varshift.results.grading import Grade

__all__ = [
    *("Calculator", "Cell", "Column", "Document", "Entries", "Entry", "Leaf", "Missing", "Part"),
    *("Row", "Section", "StepText", "Table", "Tone", "Tree", "harmless_table"),
]

Tone = Grade | Literal["good", "known"]
"""How a row, a leaf or a head stands out: by grade; "good" is a repair that was kept."""


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: what is written.
        kind: "figure" is neither cut nor folded; a "name" is cut from the left where room is
            short; "words" may go over several lines.
        sort: what a page sorts by; None for the text.
        before: stands before a name and is kept where that is cut; so is `after`.
        style: "removed" or "added", for lines of a patch.
    """

    text: str
    kind: Literal["figure", "name", "words"] = "figure"
    sort: float | str | None = None
    before: str = ""
    after: str = ""
    style: str = ""

    def __str__(self) -> str:
        return f"{self.before}{self.text}{self.after}"


@dataclass(frozen=True)
class Column:
    """A heading and what it means; a `wide` column is left out where room is short."""

    name: str
    meaning: str = ""
    numeric: bool = True
    wide: bool = False


@dataclass(frozen=True)
class Row:
    """Cells under the columns. Where there is room for a few rows only, the heaviest are shown."""

    cells: Sequence[Cell]
    weight: float = 0.0
    tone: Tone = "none"


@dataclass(frozen=True)
class Table:
    """One table, its rows in the model's order.

    Attributes:
        title: what stands above it.
        columns: its headings.
        rows: all of them, or the first of `total`.
        total: how many rows there are, where not all were made.
        wide: left out where room is short: the result's other tables say enough.
        below: sentences that belong to this table and stand below it everywhere.
        numbered: a page puts each row's place in the model first, as its pictures have it.
        grouped: rows whose first cell is the same belong together, and only the first shows it.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    total: int = 0
    wide: bool = False
    below: Sequence[str] = ()
    numbered: bool = False
    grouped: bool = False

    @property
    def count(self) -> int:
        """How many rows there are in all."""
        return max(self.total, len(self.rows))

    def narrow(self) -> Table:
        """Without its wide columns."""
        kept = [index for index, column in enumerate(self.columns) if not column.wide]
        rows = [replace(row, cells=[row.cells[index] for index in kept]) for row in self.rows]
        return replace(self, columns=[self.columns[index] for index in kept], rows=rows)

    def heaviest(self, most: int) -> Table:
        """So many rows at most: the heaviest in their order, the first where all weigh the same."""
        if len(self.rows) <= most:
            return self
        order = sorted(range(len(self.rows)), key=lambda index: -_known(self.rows[index].weight))
        kept = sorted(order[:most])
        return replace(self, rows=[self.rows[index] for index in kept], total=self.count)

    @property
    def selection(self) -> str:
        """Which of the rows these are; "" where they are all."""
        if len(self.rows) == self.count:
            return ""
        weighed = any(row.weight for row in self.rows)
        which, order = ("worst", ", in the model's order") if weighed else ("first", "")
        return f"The {len(self.rows)} {which} of {self.count}{order}"


@dataclass(frozen=True)
class Leaf:
    """One norm in the model's tree; its card is shown on demand."""

    path: str
    tone: Tone
    figure: str
    shift: float
    low: float
    high: float
    card: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Tree:
    """The model's own tree of norms, coloured by grade, with what is clean folded."""

    leaves: Sequence[Leaf]
    figure: str


@dataclass(frozen=True)
class Calculator:
    """The laws of one layer, to move: where it starts, and norms it can start from instead.

    `known` says how a preset's own Δ came about.
    """

    presets: Sequence[Mapping[str, Any]] = ()
    known: str = "measured"


@dataclass(frozen=True)
class Entry:
    """A heading, what is said under it, a formula, where to read on, and what is folded away."""

    title: str
    lines: Sequence[str]
    formula: str = ""
    page: str = ""
    link: str = ""
    folded: str = ""


@dataclass(frozen=True)
class Entries:
    """Entries below each other."""

    entries: Sequence[Entry]


Part = Picture | Table | Tree | Calculator | Entries


@dataclass(frozen=True)
class Section:
    """One chapter; `key` is its anchor on a page. A terminal shows its tables only."""

    key: str
    title: str
    lead: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class StepText:
    """One thing to do: in words, as a line of Python and of a shell, and what it is to bring."""

    words: str
    line: str = ""
    command: str = ""
    gain: str = ""


@dataclass(frozen=True)
class Missing:
    """What this result cannot show, and the call that would."""

    what: str
    how: str


@dataclass
class Document:
    """All that is said of a result.

    Attributes:
        head: the answer, in a sentence or two.
        tone: how bad that is; None where the result has no grade.
        detail: what goes with the head, in plain type.
        points: the next things to know, a sentence each: the worst norms, for instance.
        steps: what to do, in this order.
        sections: tables and pictures, the most telling first.
        picture: the one that stands for the result where there is room for one.
        meanings: what else the figures of the tables mean; columns have their own meanings.
        following: which verb comes next, in names that are functions and commands alike.
        notes: what could not be seen, and what else a reader must know.
        missing: what other verbs would show.
        facts: what the result rests on, by name.
    """

    head: str
    tone: Tone | None = None
    detail: str = ""
    points: Sequence[str] = ()
    steps: Sequence[StepText] = ()
    sections: list[Section] = field(default_factory=list)
    picture: Picture | None = None
    meanings: Sequence[str] = ()
    following: str = ""
    notes: Sequence[str] = ()
    missing: Sequence[Missing] = ()
    facts: Mapping[str, str] = field(default_factory=dict)

    def add(self, key: str, title: str, lead: str, parts: Iterable[Part]) -> None:
        """A further section, unless there is nothing to put in it."""
        kept = list(parts)
        if kept:
            self.sections.append(Section(key, title, lead, kept))

    def tables(self) -> Iterator[Table]:
        """Those for a narrow place, without their wide columns."""
        for section in self.sections:
            for part in section.parts:
                if isinstance(part, Table) and not part.wide:
                    yield part.narrow()


def harmless_table(table: Table) -> Table:
    """The same with control characters of names written out."""

    def plain(cell: Cell) -> Cell:
        return replace(cell, text=flat(cell.text), before=flat(cell.before), after=flat(cell.after))

    return replace(
        table,
        title=flat(table.title),
        columns=[replace(column, name=flat(column.name)) for column in table.columns],
        rows=[replace(row, cells=list(map(plain, row.cells))) for row in table.rows],
        below=list(map(flat, table.below)),
    )


def _known(weight: float) -> float:
    return weight if weight == weight else float("-inf")
