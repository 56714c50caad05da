"""What becomes of a figure from norm to norm: the picture that shows the disease."""

from __future__ import annotations

import math

from varshift._draw.figures import figure, shortened
from varshift._draw.pictures.described import Depth, Series
from varshift._draw.pictures.grades import entries, zones
from varshift._draw.pictures.placing import Box, PlacedLabels
from varshift._draw.pictures.svg.axes import NARROW, Columns, Heading, room
from varshift._draw.pictures.svg.canvas import Canvas, said
from varshift._draw.pictures.svg.drawing import svg
from varshift._draw.pictures.svg.scales import Scale, log
from varshift.results.grading import Grade

__all__ = ["BEYOND", "HIGH", "breadth"]

HIGH = 250.0
_LINED = 9.0  # units between norms, below which lines would fill the picture
BEYOND = 3.0  # times the largest value: an interval that reaches further ends at the border
_SIZES: dict[Grade, float] = {"none": 0.8, "mild": 1.0, "clear": 1.15, "severe": 1.3}


def breadth(norms: int, narrow: bool) -> float:
    """The width of a picture with a column for every norm."""
    return room(narrow, 760.0 if norms <= 60 else 960.0)


@svg.register
def _(picture: Depth, *, narrow: bool = False) -> Canvas:
    """Dots over the norms, coloured by grade where grades are given, and the level of no shift."""
    width = breadth(len(picture.names), narrow)
    heading = Heading(width, picture.label, _entries(picture), _lead(picture))
    columns = Columns(picture.names, heading.bottom, HIGH, width)
    scale = log(_drawn(picture), columns.bottom, columns.top)
    canvas = Canvas(width, columns.height, picture.about, picture.caption)
    if picture.level is not None and all(one.grades for one in picture.series):
        _zones(canvas, columns, scale, picture.level)
    heading.draw(canvas)
    columns.draw(canvas, scale, picture.level)
    if picture.level is not None:
        y = scale(picture.level)
        canvas.line(columns.left, y, columns.right, y, "level")
    for one in picture.series:
        _one(canvas, columns, scale, one)
    if picture.series and not columns.few:
        _named(canvas, columns, scale, picture)
    return canvas


def _drawn(picture: Depth) -> list[float]:
    """What the scale must show: all values, and of their intervals what is not too far away."""
    values = [value for one in picture.series for value in one.values if 0 < value < math.inf]
    if picture.level is not None:
        values.append(picture.level)
    ends = [end for one in picture.series for end in (*one.low, *one.high)]
    if not values:
        return ends
    least, most = min(values) / BEYOND, max(values) * BEYOND
    drawn = [min(max(end, least), most) for end in ends if math.isfinite(end)]
    return [*values, *drawn, *picture.covers]


def _entries(picture: Depth) -> list[tuple[str, str]]:
    """What the colours mean: grades with where they begin, and roles where there are several."""
    plain = [one for one in picture.series if not one.grades]
    roles = [(one.role, one.label) for one in plain] if len(picture.series) > 1 else []
    return [*((f"grade-{grade}", words) for grade, words in entries(picture.series)), *roles]


def _lead(picture: Depth) -> str:
    """What it is that the colours of grades tell, and of which series where there are several."""
    graded = [one.label for one in picture.series if one.grades]
    if not graded:
        return ""
    return "severity:" if len(picture.series) == 1 else f"{', '.join(graded)}, by severity:"


def _zones(canvas: Canvas, columns: Columns, scale: Scale, level: float) -> None:
    """Behind the dots, where each grade begins, above the level and below it."""
    for grade, low, high in zones(level):
        low, high = max(low, scale.low), min(high, scale.high)
        if low < high:
            top, wide = scale(high), columns.right - columns.left
            canvas.box(columns.left, top, wide, scale(low) - top, f"zone grade-{grade}")


def _one(canvas: Canvas, columns: Columns, scale: Scale, one: Series) -> None:
    places = [(columns[index], scale(value)) for index, value in enumerate(one.values)]
    if columns.step > _LINED and not one.grades:
        canvas.path(places, f"{one.role} trace")
    roles = [f"grade-{grade}" for grade in one.grades] or [one.role] * len(places)
    for index, (low, high) in enumerate(zip(one.low, one.high, strict=True)):
        ends = scale(low), scale(high)
        if all(map(math.isfinite, ends)) and math.isfinite(places[index][1]):
            canvas.line(columns[index], ends[0], columns[index], ends[1], f"{roles[index]} whisker")
    usual = min(3.5, max(2.0, 0.4 * columns.step))
    for index, (x, y) in enumerate(places):
        if math.isfinite(y):
            size = usual * _SIZES[one.grades[index]] if one.grades else usual
            canvas.dot(x, y, roles[index], size=size, hint=_told(columns.names[index], one, index))


def _told(name: str, one: Series, index: int) -> str:
    words = f"{one.label} {figure(one.values[index], 4)}"
    if one.low and math.isfinite(one.low[index]) and math.isfinite(one.high[index]):
        words += f" ({figure(one.low[index], 3)} to {figure(one.high[index], 3)})"
    return said(name, words, *([one.grades[index]] if one.grades else []))


def _named(canvas: Canvas, columns: Columns, scale: Scale, picture: Depth) -> None:
    """The names that matter most beside their dots, where there are too many to name all."""
    values = picture.series[-1].values
    places = [(columns[index], scale(value)) for index, value in enumerate(values)]
    area = Box(columns.left, columns.top, columns.right, columns.bottom)
    labels = PlacedLabels(area, [(x, y) for x, y in places if math.isfinite(y)])
    most = 26 if columns.width > NARROW else 16
    for index in picture.named:
        x, y = places[index]
        if math.isfinite(y):
            name = picture.names[index]
            words = f"{index + 1}: {shortened(name, most)}"
            placed = labels.place(x, y, words)
            if placed is not None:
                at, tie = placed
                if tie is not None:
                    canvas.line(x, y, *tie, "leader")
                canvas.text(*at, words, "strong", hint=said(name))
