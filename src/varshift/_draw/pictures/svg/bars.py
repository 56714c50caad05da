"""A total taken apart into factors, norm by norm: a bar each, from 1, by equal factors."""

from __future__ import annotations

import math

from varshift._draw.figures import figure, shortened
from varshift._draw.pictures.described import Bars
from varshift._draw.pictures.svg.axes import Heading, beside, level, room
from varshift._draw.pictures.svg.canvas import Canvas, said
from varshift._draw.pictures.svg.drawing import svg
from varshift._draw.pictures.svg.scales import log

__all__: list[str] = []

_WIDE, _THICK = 550.0, 7.0


@svg.register
def _(picture: Bars, *, narrow: bool = False) -> Canvas:
    """The bars of a norm multiply to the diamond beside them, its total."""
    most = 14 if narrow else 24
    left = beside(picture.names, most)
    width = room(narrow, left + _WIDE)
    entries = [(factor.role, factor.label) for factor in picture.factors]
    heading = Heading(width, entries=[*entries, ("total", "total")])
    top_of_all, row = heading.bottom, max(_THICK * len(picture.factors) + 9, 18.0)
    bottom = top_of_all + row * len(picture.names)
    every = [value for factor in picture.factors for value in factor.values]
    across = log([1.0, *picture.totals, *every], left, width - 20)
    canvas = Canvas(width, bottom + 44, picture.about, picture.caption)
    heading.draw(canvas)
    level(canvas, across, top_of_all, bottom, "times the stored variance")
    for index, name in enumerate(picture.names):
        top = top_of_all + row * index + 4.5
        middle = top + _THICK * len(picture.factors) / 2
        canvas.text(left - 10, middle + 4, shortened(name, most), anchor="end", hint=said(name))
        for place, factor in enumerate(picture.factors):
            ends = sorted((across(1.0), across(factor.values[index])))
            told = said(name, f"{factor.label} × {figure(factor.values[index], 4)}")
            if all(map(math.isfinite, ends)):
                y = top + _THICK * place
                wide = max(ends[1] - ends[0], 1.0)
                canvas.box(ends[0], y, wide, _THICK - 1.5, factor.role, hint=told)
        if math.isfinite(across(picture.totals[index])):
            told = said(name, f"total × {figure(picture.totals[index], 4)}")
            canvas.dot(across(picture.totals[index]), middle, "total", size=4.5, hint=told)
    canvas.line(across(1.0), top_of_all, across(1.0), bottom, "level")
    return canvas
