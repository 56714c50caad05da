"""Figures with their intervals, one a row, against a level that says "nothing"."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from varshift._draw.figures import shortened
from varshift._draw.page.canvas import Canvas, said
from varshift._draw.page.pictures.axes import beside, level
from varshift._draw.page.scales import linear

__all__ = ["Interval", "intervals"]

_ROW, _TOP, _WIDE = 24.0, 14.0, 550.0


@dataclass(frozen=True)
class Interval:
    """One row; `role` is its colour's class, `beside` a shorter name, `mark` a value to compare."""

    name: str
    value: float
    low: float
    high: float
    role: str
    told: str
    beside: str = ""
    mark: float | None = None

    @property
    def label(self) -> str:
        """What stands beside the row."""
        return self.beside or self.name


def intervals(
    rows: Sequence[Interval],
    reference: float,
    label: str,
    about: str,
    *,
    least: float = -math.inf,
    most: float = math.inf,
) -> Canvas:
    """The rows from top to bottom; what lies beyond `least` and `most` ends at an arrow there."""
    left = beside(row.label for row in rows)
    width = left + _WIDE
    bottom = _TOP + _ROW * len(rows)
    ends = [min(max(end, least), most) for row in rows for end in (row.low, row.high, row.value)]
    marks = [row.mark for row in rows if row.mark is not None]
    across = linear([*ends, *marks, reference], left, width - 20)
    canvas = Canvas(width, bottom + 44, about)
    level(canvas, across, _TOP, bottom, label)
    canvas.line(across(reference), _TOP, across(reference), bottom, "level")
    for index, row in enumerate(rows):
        y = _TOP + _ROW * (index + 0.5)
        told = said(row.name, row.told)
        canvas.text(left - 10, y + 4, shortened(row.label, 24), anchor="end", hint=said(row.name))
        low, high = max(row.low, least), min(row.high, most)
        if math.isfinite(low) and math.isfinite(high):
            canvas.line(across(low), y, across(high), y, f"{row.role} bar", hint=told)
            if low > row.low:
                canvas.text(across(low) - 4, y + 4, "◂", "quiet", anchor="end", hint=told)
            if high < row.high:
                canvas.text(across(high) + 4, y + 4, "▸", "quiet", hint=told)
        if math.isfinite(row.value) and least <= row.value <= most:
            canvas.dot(across(row.value), y, row.role, size=4.5, hint=told)
        if row.mark is not None:
            canvas.line(across(row.mark), y - 8, across(row.mark), y + 8, "mark", hint=told)
    return canvas
