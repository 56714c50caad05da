"""The pieces that every table is laid out with: 80 columns, lines below it, notes last."""

from __future__ import annotations

from collections.abc import Iterable
from functools import singledispatch
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

__all__ = ["MOST", "columns", "group", "more", "table"]

MOST = 25  # rows of one table; a result's to_dict() has all of them


@singledispatch
def table(result: Any) -> RenderableType:
    """A renderable of the whole result, what could not be seen included."""
    raise TypeError(f"nothing is drawn for a {type(result).__name__}")


def columns(title: str, *headings: str) -> Table:
    """An empty table without lines."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading in headings:
        made.add_column(heading, header_style="dim", overflow="fold")
    return made


def more(count: int) -> list[RenderableType]:
    """What to say below a table that shows the first rows only."""
    return [Text(f"… and {count - MOST} more (JSON has all)", style="dim")] * (count > MOST)


def group(
    parts: Iterable[RenderableType], lines: Iterable[str], notes: Iterable[str]
) -> RenderableType:
    """Tables, then explaining lines, then notes."""
    blocks: list[RenderableType] = []
    for part in parts:
        blocks += [part, Text("")]
    blocks += [Text(line, style="dim") for line in lines]
    blocks += [Text(f"note: {note}") for note in dict.fromkeys(notes)]
    return Group(*blocks)
