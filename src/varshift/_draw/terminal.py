"""What a terminal shows otherwise than by the account of a result: a calculation."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from varshift._draw.accounts.calculations import answer, given, meaning, over, sign
from varshift._draw.figures import figure
from varshift._draw.layout import columns, group, table
from varshift.theory.calculator import Calculation

__all__ = ["table"]


@table.register
def _calculation(result: Calculation) -> RenderableType:
    head = Group(
        Text(answer(result), style="bold"), Text(result.formula), Text(f"at {given(result)}", "dim")
    )
    numbers = Table.grid(padding=(0, 2))
    for key, value in result.outputs.items():
        numbers.add_row(escape(sign(key)), figure(value), Text(meaning(key), "dim"))
    lines = columns(f"Over {over(result)}", *(escape(sign(key)) for key in result.lines[0]))
    for line in result.lines:
        lines.add_row(*(figure(value, 4) for value in line.values()))
    return group([head, numbers, lines], [], result.notes)
