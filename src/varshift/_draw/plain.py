"""What `print` shows of a result: its account in plain text. Needs no rich."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from varshift._base import Result
from varshift._draw.accounts import MOST, Cell, Name, Sheet, told
from varshift._draw.figures import cells
from varshift._draw.names import fitted

__all__ = ["text"]

_WIDTH = 80
_GAP = 2  # columns between columns
_NAME = 32  # of a name, which is longer only where two would come out alike


def text(result: Result) -> str:
    """The sentence first, then the tables, what they mean, what next, and notes last.

    A table is as wide as its figures and names are, whatever it is printed on. Rows that stand out
    in bold elsewhere have a star at their end.
    """
    said = told(result, MOST)
    head = " ".join((said.head, said.detail)).strip()
    blocks = [list(_paragraph(head))] if head else []
    blocks += [list(_table(sheet)) for sheet in said.sheets]
    lines = [line.replace("bold", "starred").replace("Bold", "Starred") for line in said.lines]
    ends = [*lines, said.next, *(f"note: {note}" for note in dict.fromkeys(said.notes))]
    blocks.append([line for end in ends if end for line in _paragraph(end)])
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _paragraph(said: str) -> Iterator[str]:
    for line in said.splitlines():
        yield from textwrap.wrap(line, _WIDTH, break_on_hyphens=False) or [""]


def _table(sheet: Sheet) -> Iterator[str]:
    columns = [
        [heading, *_texts([row.cells[index] for row in sheet.rows])]
        for index, heading in enumerate(sheet.headings)
    ]
    widths = [max(map(cells, column)) for column in columns]
    if sheet.title:
        yield sheet.title
    if sheet.selection:
        yield f"{sheet.selection}:"
    marks = ["", *(" *" * row.marked for row in sheet.rows)]
    for line, mark in zip(zip(*columns, strict=True), marks, strict=True):
        padded = (
            word + " " * (width - cells(word)) for word, width in zip(line, widths, strict=True)
        )
        if any(line):  # some tables have no headings
            yield (" " * _GAP).join(padded).rstrip() + mark
    if sheet.left_off:
        yield f"… and {sheet.left_off} more (to_dict() has all)"


def _texts(column: Sequence[Cell]) -> list[str]:
    """Names cut together, so that no two that differ come out alike."""
    cut = fitted(dict.fromkeys(cell.text for cell in column if isinstance(cell, Name)), _NAME)
    return [
        f"{cell.before}{cut[cell.text]}{cell.after}" if isinstance(cell, Name) else str(cell)
        for cell in column
    ]
