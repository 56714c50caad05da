"""Severity by norm over the steps of a run, the worst by name."""

from __future__ import annotations

import math

from varshift._draw.figures import shortened
from varshift._draw.pictures.colours import CYCLE
from varshift._draw.pictures.described import Curve, Lines
from varshift._draw.pictures.placing import LINE, apart
from varshift._draw.pictures.svg.axes import Heading, beside, level, room, upright
from varshift._draw.pictures.svg.canvas import Canvas, said
from varshift._draw.pictures.svg.drawing import svg
from varshift._draw.pictures.svg.scales import Scale, linear, log

__all__: list[str] = []

_LEFT, _HIGH = 62.0, 250.0


@svg.register
def _(picture: Lines, *, narrow: bool = False) -> Canvas:
    """The first lines by name at their ends, the others grey behind them."""
    most = 12 if narrow else 24
    named = picture.lines[: len(CYCLE)]
    width = room(narrow, 760.0)
    right = width - beside((line.name for line in named), most)
    heading = Heading(width, picture.label)
    top, bottom = heading.bottom, heading.bottom + _HIGH
    across = linear([step for line in picture.lines for step in line.steps], _LEFT, right)
    every = [value for line in picture.lines for value in line.values]
    up = log([picture.level, *every], bottom, top)
    canvas = Canvas(width, bottom + 44, picture.about, picture.caption)
    heading.draw(canvas)
    upright(canvas, up, _LEFT, right, picture.level)
    level(canvas, across, top, bottom, "step")
    canvas.line(_LEFT, up(picture.level), right, up(picture.level), "level")
    for line in picture.lines[len(named) :]:
        canvas.path(_points(line, across, up), "others")
    for index, line in reversed(list(enumerate(named))):
        canvas.path(_points(line, across, up), f"line-{index}")
    _names(canvas, [(line.name, _end(line, up)) for line in named], (right, most), (top, bottom))
    return canvas


def _points(line: Curve, across: Scale, up: Scale) -> list[tuple[float, float]]:
    return [(across(step), up(value)) for step, value in zip(line.steps, line.values, strict=True)]


def _end(line: Curve, up: Scale) -> float:
    """The height of the last value that is known."""
    return next((up(value) for value in reversed(line.values) if math.isfinite(up(value))), up.end)


def _names(
    canvas: Canvas,
    ends: list[tuple[str, float]],
    side: tuple[float, int],
    span: tuple[float, float],
) -> None:
    right, most = side
    places = apart([end for _, end in ends], LINE - 2, *span)
    for index, ((name, end), place) in enumerate(zip(ends, places, strict=True)):
        canvas.line(right + 1, end, right + 9, place, f"line-{index}")
        canvas.text(right + 12, place + 4, shortened(name, most), hint=said(name))
