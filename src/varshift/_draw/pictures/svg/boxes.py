"""Per norm how its channels scatter: 5 to 95 %, the middle half, and the median."""

from __future__ import annotations

import math

from varshift._draw.figures import figure
from varshift._draw.pictures.described import Boxes
from varshift._draw.pictures.svg.axes import Columns, Heading
from varshift._draw.pictures.svg.canvas import Canvas, said
from varshift._draw.pictures.svg.depth import HIGH, breadth
from varshift._draw.pictures.svg.drawing import svg
from varshift._draw.pictures.svg.scales import log

__all__: list[str] = []


@svg.register
def _(picture: Boxes, *, narrow: bool = False) -> Canvas:
    width = breadth(len(picture.names), narrow)
    heading = Heading(width, picture.label)
    columns = Columns(picture.names, heading.bottom, HIGH, width)
    every = [1.0, *(value for five in picture.quantiles for value in five)]
    scale = log(every, columns.bottom, columns.top)
    canvas = Canvas(width, columns.height, picture.about, picture.caption)
    heading.draw(canvas)
    columns.draw(canvas, scale, 1.0)
    canvas.line(columns.left, scale(1.0), columns.right, scale(1.0), "level")
    half = min(columns.step * 0.35, 12.0)
    for index, five in enumerate(picture.quantiles):
        if not all(map(math.isfinite, five)):
            continue
        x, ys = columns[index], [scale(value) for value in five]
        told = said(
            picture.names[index],
            f"median {figure(five[2], 3)}",
            f"middle half of the channels {figure(five[1], 3)} to {figure(five[3], 3)}",
        )
        canvas.line(x, ys[0], x, ys[4], "whisker")
        canvas.box(x - half, ys[3], 2 * half, max(ys[1] - ys[3], 1.0), "middle", hint=told)
        canvas.line(x - half, ys[2], x + half, ys[2], "median")
    return canvas
