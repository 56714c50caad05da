"""Figures with their intervals, one a row, against a level that says "nothing"."""

from __future__ import annotations

import math

from varshift._draw.figures import shortened
from varshift._draw.pictures.described import Interval, Intervals
from varshift._draw.pictures.svg.axes import beside, level, room
from varshift._draw.pictures.svg.canvas import Canvas, said
from varshift._draw.pictures.svg.drawing import svg
from varshift._draw.pictures.svg.scales import Scale, linear

__all__: list[str] = []

_ROW, _TOP, _WIDE = 24.0, 14.0, 550.0


@svg.register
def _(picture: Intervals, *, narrow: bool = False) -> Canvas:
    """The rows from top to bottom; what lies beyond `least` and `most` ends at an arrow there."""
    names = 16 if narrow else 24
    left = beside((row.label for row in picture.rows), names)
    width = room(narrow, left + _WIDE)
    bottom = _TOP + _ROW * len(picture.rows)
    ends = [
        min(max(end, picture.least), picture.most)
        for row in picture.rows
        for end in (row.low, row.high, row.value)
    ]
    marks = [row.mark for row in picture.rows if row.mark is not None]
    across = linear([*ends, *marks, picture.level], left, width - 20)
    canvas = Canvas(width, bottom + 44, picture.about, picture.caption)
    level(canvas, across, _TOP, bottom, picture.label)
    canvas.line(across(picture.level), _TOP, across(picture.level), bottom, "level")
    for index, row in enumerate(picture.rows):
        y = _TOP + _ROW * (index + 0.5)
        words = shortened(row.label, names)
        canvas.text(left - 10, y + 4, words, anchor="end", hint=said(row.name))
        _row(canvas, across, y, row, (picture.least, picture.most))
    return canvas


def _row(
    canvas: Canvas, across: Scale, y: float, row: Interval, borders: tuple[float, float]
) -> None:
    least, most = borders
    told = said(row.name, row.told)
    low, high = max(row.low, least), min(row.high, most)
    if math.isfinite(low) and math.isfinite(high):
        canvas.line(across(low), y, across(high), y, f"{row.role} bar", hint=told)
        if low > row.low:
            canvas.text(across(low) - 4, y + 4, "◂", "quiet", anchor="end", hint=told)
        if high < row.high:
            canvas.text(across(high) + 4, y + 4, "▸", "quiet", hint=told)
    if math.isfinite(row.value) and least <= row.value <= most:
        role = f"{row.role} hollow" if row.hollow else row.role
        canvas.dot(across(row.value), y, role, size=4.5, hint=told)
    if row.mark is not None:
        canvas.line(across(row.mark), y - 8, across(row.mark), y + 8, "mark", hint=told)
