"""What `print` shows of a result: its document in plain text. Needs no rich."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from varshift._base import Result
from varshift._draw.document import Cell, Table
from varshift._draw.documents import document
from varshift._draw.figures import cells
from varshift._draw.names import fitted
from varshift._draw.telling import UNMARKED, between, ends, graded, meanings, numbered_steps, tables
from varshift._visible import flat

__all__ = ["text"]

_WIDTH = 80
_GAP = 2  # columns between columns
_NAME = 32  # of a name, which is longer only where two would come out alike


def text(result: Result) -> str:
    """The answer first, what to do, the tables, what they mean, what next, and notes last.

    A table is as wide as its figures and names are, whatever it is printed on. A row that stands
    out in colour elsewhere has a star at its end.
    """
    made = document(result)
    grade = f"{graded(made)}." if graded(made) else ""
    said = [flat(" ".join(filter(None, (grade, made.head)))), flat(made.detail)]
    head = between(made).join(filter(None, said))
    blocks = [list(_paragraph(head))] if head else []
    blocks += [[line for step in numbered_steps(made.steps) for line in _step(*step)]]
    shown = tables(made)
    blocks += [list(_table(*held)) for held in zip(shown, meanings(shown), strict=True)]
    blocks.append([line for said in ends(made) for line in _paragraph(said)])
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _step(words: str, lines: Sequence[str]) -> Iterator[str]:
    yield from _paragraph(words)
    yield from (f"   {line}" for line in lines)


def _paragraph(said: str) -> Iterator[str]:
    for line in said.splitlines():
        yield from textwrap.wrap(line, _WIDTH, break_on_hyphens=False) or [""]


def _table(held: Table, meaning: str) -> Iterator[str]:
    columns = [
        [column.name, *_texts([row.cells[index] for row in held.rows])]
        for index, column in enumerate(held.columns)
    ]
    widths = [max(map(cells, column)) for column in columns]
    if held.title:
        yield held.title
    if held.selection:
        yield f"{held.selection}:"
    marks = ["", *(" *" * (row.tone not in UNMARKED) for row in held.rows)]
    for line, mark in zip(zip(*columns, strict=True), marks, strict=True):
        padded = (
            word + " " * (width - cells(word)) for word, width in zip(line, widths, strict=True)
        )
        if any(line):  # some tables have no headings
            yield (" " * _GAP).join(padded).rstrip() + mark
    if held.count > len(held.rows):
        yield f"… and {held.count - len(held.rows)} more (to_dict() has all)"
    tones = {row.tone for row in held.rows}
    starred = "*: kept." if "good" in tones else "*: mild or worse." if tones - UNMARKED else ""
    for said in filter(None, (starred, meaning, *held.below)):
        yield from _paragraph(said)


def _texts(column: Sequence[Cell]) -> list[str]:
    """Names cut together, so that no two that differ come out alike."""
    cut = fitted(dict.fromkeys(cell.text for cell in column if cell.kind == "name"), _NAME)
    return [
        f"{cell.before}{cut[cell.text]}{cell.after}" if cell.kind == "name" else str(cell)
        for cell in column
    ]
