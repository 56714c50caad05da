"""A document in a terminal: as wide as it is, names cut to the room there is. Needs rich."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from varshift._draw.document import Cell, Document, Row, Table
from varshift._draw.documents import document
from varshift._draw.figures import cells
from varshift._draw.names import fitted
from varshift._draw.telling import MOST, between, ends, graded, meanings, numbered_steps, tables
from varshift._visible import flat

__all__ = ["drawn", "table"]

_GAP = 2  # columns between columns
_LEAST = 8  # of a name: below that nothing can be told from it
_TONES = {"mild": "yellow", "clear": "dark_orange", "severe": "red", "good": "green"}
_STYLES = {"removed": "red", "added": "green"}


def table(result: Any) -> RenderableType:
    """A renderable of the whole result, what could not be seen included."""
    return drawn(document(result))


def drawn(made: Document, most: int = MOST) -> RenderableType:
    """The answer, what to do, the tables, what they mean, what next, and notes last.

    Of a table so many rows at `most`.
    """
    blocks: list[RenderableType] = [*_head(made), *map(_step, numbered_steps(made.steps))]
    shown = tables(made, most)
    if blocks:
        blocks.append(Text(""))
    for held, meaning in zip(shown, meanings(shown), strict=True):
        blocks += [Group(*_parts(held, meaning)), Text("")]
    below = [Text(said) for said in ends(made)]
    return Group(*blocks, *below) if below else Group(*blocks[:-1])


def _head(made: Document) -> Iterator[RenderableType]:
    head = Text(flat(made.head), style="bold")
    if graded(made):
        style = f"bold {_TONES.get(made.tone or '', 'green')}"
        head = Text(f"{graded(made)}. ", style=style).append_text(head)
    if made.detail:
        head.append(f"{between(made)}{flat(made.detail)}", style="not bold")
    if head:
        yield head


def _step(step: tuple[str, list[str]]) -> RenderableType:
    words, lines = step
    code = [Padding(Text(each, style="cyan", overflow="fold"), (0, 0, 0, 3)) for each in lines]
    return Group(Text(words), *code)


def _parts(held: Table, meaning: str) -> list[RenderableType]:
    """A table with what is said above and below it."""
    parts: list[RenderableType] = [Text(held.title, style="bold")] if held.title else []
    if held.selection:
        parts.append(Text(f"{held.selection}:", style="dim"))
    parts.append(Fitted(held))
    left = held.count - len(held.rows)
    if left:
        parts.append(Text(f"… and {left} more (JSON has all)", style="dim"))
    if meaning:
        parts.append(Text(meaning, style="dim"))
    return [*parts, *map(Text, held.below)]


@dataclass(frozen=True)
class Fitted:
    """A table that fits its names to the width it is drawn at.

    Cutting them when the table is made would waste a wide terminal, and in a narrow one rich would
    fold what has been cut already.
    """

    held: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        held, left_out = _narrowed(self.held, options.max_width)
        yield _made(held, options.max_width)
        if left_out:
            yield Text(f"(no room for: {', '.join(left_out)})", style="dim")


def _narrowed(held: Table, width: int) -> tuple[Table, list[str]]:
    """Without its last names, one by one, while there is no room for them beside the figures."""
    left_out: list[str] = []
    while not _fits(held, width):
        names = [index for index in range(1, len(held.columns)) if _named(_column(held, index))]
        if not names:
            break
        left_out.insert(0, held.columns[names[-1]].name)
        held = _without(held, names[-1])
    return held, left_out


def _without(held: Table, index: int) -> Table:
    rows = [replace(row, cells=[*row.cells[:index], *row.cells[index + 1 :]]) for row in held.rows]
    return replace(held, columns=[*held.columns[:index], *held.columns[index + 1 :]], rows=rows)


def _column(held: Table, index: int) -> list[Cell]:
    return [row.cells[index] for row in held.rows]


def _named(column: Sequence[Cell]) -> bool:
    return any(cell.kind == "name" for cell in column)


def _flexible(column: Sequence[Cell]) -> bool:
    return any(cell.kind != "figure" for cell in column)


def _fits(held: Table, width: int) -> bool:
    widths = _widths(held, width)
    return sum(widths) + _GAP * (len(widths) - 1) <= width


def _made(held: Table, width: int) -> Grid:
    made = Grid(box=None, pad_edge=False)
    for column in held.columns:
        made.add_column(escape(column.name), header_style="dim", overflow="fold")
    widths, fits = _widths(held, width), _fits(held, width)
    texts = []
    for index, (grown, room) in enumerate(zip(made.columns, widths, strict=True)):
        cells_ = _column(held, index)
        # A figure over two lines is no figure; where there is no room at all rich may fold it.
        grown.no_wrap = fits and not _flexible(cells_)
        if fits and _flexible(cells_):
            grown.max_width = room
        texts.append(_texts(cells_, room))
    for row, cells_in_line in zip(held.rows, zip(*texts, strict=True), strict=True):
        made.add_row(*cells_in_line, style=_style(row))
    return made


def _style(row: Row) -> str:
    return f"bold {_TONES[row.tone]}" if row.tone in _TONES else "dim" * (row.tone == "known")


def _widths(held: Table, width: int) -> list[int]:
    """Figures get what they need; what may be cut or folded shares the rest."""
    columns = [_column(held, index) for index in range(len(held.columns))]
    needs = [
        max([cells(heading.name), *(cells(str(cell)) for cell in column)])
        for heading, column in zip(held.columns, columns, strict=True)
    ]
    flexible = [index for index, column in enumerate(columns) if _flexible(column)]
    fixed = sum(need for index, need in enumerate(needs) if index not in flexible)
    room = width - _GAP * (len(needs) - 1) - fixed
    made = list(needs)
    # The short ones first: what they leave is for the long ones.
    waiting = sorted(flexible, key=lambda index: needs[index])
    while waiting:
        index = waiting.pop(0)
        share = room // (len(waiting) + 1)
        made[index] = min(needs[index], max(_LEAST, share))
        room -= made[index]
    return made


def _texts(column: Sequence[Cell], room: int) -> list[Text]:
    names = [cell for cell in column if cell.kind == "name"]
    kept = max((cells(cell.before + cell.after) for cell in names), default=0)
    cut = fitted(dict.fromkeys(cell.text for cell in names), max(1, room - kept))
    return [
        Text(f"{cell.before}{cut[cell.text]}{cell.after}")
        if cell.kind == "name"
        else Text(str(cell), style=_STYLES.get(cell.style, ""))
        for cell in column
    ]
