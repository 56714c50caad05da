"""How an account is drawn in a terminal: as wide as it is, names cut to the room there is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from varshift._draw.accounts import MOST, Account, Cell, Name, Sheet, Words, plain_sheet, told
from varshift._draw.figures import cells
from varshift._draw.names import fitted
from varshift._visible import flat

__all__ = ["MOST", "columns", "group", "more", "sheet_parts", "table"]

_GAP = 2  # columns between columns
_LEAST = 8  # of a name: below that nothing can be told from it


@singledispatch
def table(result: Any) -> RenderableType:
    """A renderable of the whole result, what could not be seen included."""
    return drawn(told(result, MOST))


def drawn(said: Account) -> RenderableType:
    """The sentence first, then the tables, what they mean, what next, and notes last."""
    head = Text(said.head, style="bold")
    if said.detail:
        head += Text(f" {said.detail}", style="")
    parts: list[RenderableType] = [head] if head else []
    parts += [Group(*sheet_parts(sheet)) for sheet in said.sheets]
    ends = [Text(said.next)] if said.next else []
    return group(parts, said.lines, said.notes, ends)


def columns(title: str, *headings: str) -> Table:
    """An empty table without lines."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading in headings:
        made.add_column(heading, header_style="dim", overflow="fold")
    return made


def more(count: int, shown: int = MOST) -> list[RenderableType]:
    """What to say below a table that shows the first rows only."""
    return [Text(f"… and {count - shown} more (JSON has all)", style="dim")] * (count > shown)


def group(
    parts: Iterable[RenderableType],
    lines: Iterable[str],
    notes: Iterable[str],
    ends: Iterable[RenderableType] = (),
) -> RenderableType:
    """Tables, then explaining lines, then what to do next, then notes."""
    blocks: list[RenderableType] = []
    for part in parts:
        blocks += [part, Text("")]
    below = [*(Text(flat(line), style="dim") for line in lines), *ends]
    below += [Text(f"note: {flat(note)}") for note in dict.fromkeys(notes)]
    return Group(*blocks, *below) if below else Group(*blocks[:-1])


def sheet_parts(sheet: Sheet) -> list[RenderableType]:
    """A table with what is said above and below it."""
    sheet = plain_sheet(sheet)
    selection = [Text(f"{sheet.selection}:", style="dim")] if sheet.selection else []
    title = [Text(sheet.title, style="bold")] if sheet.title else []
    return [*title, *selection, Fitted(sheet), *more(sheet.total, len(sheet.rows))]


@dataclass(frozen=True)
class Fitted:
    """A table that fits its names to the width it is drawn at.

    Cutting them when the table is made would waste a wide terminal, and in a narrow one rich would
    fold what has been cut already.
    """

    sheet: Sheet

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        sheet, left_out = _narrowed(self.sheet, options.max_width)
        yield _made(sheet, options.max_width)
        if left_out:
            yield Text(f"(no room for: {', '.join(left_out)})", style="dim")


def _narrowed(sheet: Sheet, width: int) -> tuple[Sheet, list[str]]:
    """Without its last names, one by one, while there is no room for them beside the figures."""
    left_out: list[str] = []
    while not _fits(sheet, width):
        names = [index for index in range(1, len(sheet.headings)) if _named(_column(sheet, index))]
        if not names:
            break
        left_out.insert(0, sheet.headings[names[-1]])
        sheet = _without(sheet, names[-1])
    return sheet, left_out


def _without(sheet: Sheet, index: int) -> Sheet:
    rows = [replace(row, cells=[*row.cells[:index], *row.cells[index + 1 :]]) for row in sheet.rows]
    headings = [*sheet.headings[:index], *sheet.headings[index + 1 :]]
    return replace(sheet, headings=headings, rows=rows)


def _column(sheet: Sheet, index: int) -> list[Cell]:
    return [row.cells[index] for row in sheet.rows]


def _named(column: Sequence[Cell]) -> bool:
    return any(isinstance(cell, Name) for cell in column)


def _flexible(column: Sequence[Cell]) -> bool:
    return any(not isinstance(cell, str) for cell in column)


def _fits(sheet: Sheet, width: int) -> bool:
    widths = _widths(sheet, width)
    return sum(widths) + _GAP * (len(widths) - 1) <= width


def _made(sheet: Sheet, width: int) -> Table:
    widths, fits = _widths(sheet, width), _fits(sheet, width)
    made = columns("", *map(escape, sheet.headings))
    made.title = None
    texts = []
    for index, (column, room) in enumerate(zip(made.columns, widths, strict=True)):
        held = _column(sheet, index)
        # A figure over two lines is no figure; where there is no room at all rich may fold it.
        column.no_wrap = fits and not _flexible(held)
        if fits and _flexible(held):
            column.max_width = room
        texts.append(_texts(held, room))
    for row, line in zip(sheet.rows, zip(*texts, strict=True), strict=True):
        made.add_row(*line, style="bold" if row.marked else "")
    return made


def _widths(sheet: Sheet, width: int) -> list[int]:
    """Figures get what they need; what may be cut or folded shares the rest."""
    held = [_column(sheet, index) for index in range(len(sheet.headings))]
    needs = [
        max([cells(heading), *(cells(str(cell)) for cell in column)])
        for heading, column in zip(sheet.headings, held, strict=True)
    ]
    flexible = [index for index, column in enumerate(held) if _flexible(column)]
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
    names = [cell for cell in column if isinstance(cell, Name)]
    kept = max((cells(name.before + name.after) for name in names), default=0)
    cut = fitted(dict.fromkeys(name.text for name in names), max(1, room - kept))
    return [
        Text(f"{cell.before}{cut[cell.text]}{cell.after}")
        if isinstance(cell, Name)
        else Text(str(cell), style=cell.style if isinstance(cell, Words) else "")
        for cell in column
    ]
