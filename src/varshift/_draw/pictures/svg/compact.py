"""Pictures of many marks in few words: strokes and boxes that look alike become one path."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from varshift._draw.pictures.svg.canvas import Canvas, Mark
from varshift.results.grading import GRADES

__all__ = ["compact"]

_MANY = 6  # marks alike from which on one path is shorter
_TOLD = 400  # marks with hints that a pointer still tells apart
_FINE = 400  # marks to which their places have two decimals
_PLACES = frozenset(("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height"))
_FILLED = {"train", "stored", "data", "plain", *(f"grade-{grade}" for grade in ("none", *GRADES))}
_DEPTHS = 20  # steps of a colour's depth that eyes tell apart


def compact(canvas: Canvas, hints: int = _TOLD) -> Canvas:
    """The same picture, shorter: where more than `hints` marks have hints, none has any.

    What is merged has no hint. A path is drawn where the first of its marks stood.

    >>> canvas = Canvas(100, 50, "thirty strokes")
    >>> for x in range(30):
    ...     canvas.line(x, 0, x, 9, "whisker")
    >>> (mark,) = compact(canvas).marks
    >>> mark.tag, mark.attributes["class"], mark.attributes["d"][:20]
    ('path', 'whisker', 'M0 0L0 9M1 0L1 9M2 0')
    """
    marks = canvas.marks
    if len(marks) > _FINE:
        marks = [replace(mark, attributes=_coarse(mark.attributes)) for mark in marks]
    if sum(mark.hint != "" for mark in marks) > hints:
        marks = [replace(mark, hint="") for mark in marks]
    alike: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, mark in enumerate(marks):
        if not mark.hint and (mark.tag in ("line", "rect") or _is_filled_dot(mark)):
            alike[_look(mark)].append(index)
    merged: dict[int, Mark] = {}
    gone: set[int] = set()
    for indices in alike.values():
        if len(indices) >= _MANY:
            merged[indices[0]] = _one([marks[index] for index in indices])
            gone.update(indices)
    kept = (
        merged.get(index, mark)
        for index, mark in enumerate(marks)
        if index in merged or index not in gone
    )
    return replace(canvas, marks=list(kept))


def _coarse(attributes: dict[str, str]) -> dict[str, str]:
    """Places to a tenth of a unit, which is less than a pixel."""
    return {
        name: f"{float(value):.1f}".removesuffix(".0") if name in _PLACES else value
        for name, value in attributes.items()
    }


def _look(mark: Mark) -> tuple[str, ...]:
    """What marks have in common that look alike."""
    at = mark.attributes
    depth = _depth(at["fill-opacity"]) if "fill-opacity" in at else ""
    return mark.tag, at["class"], depth, at.get("r", "")


def _is_filled_dot(mark: Mark) -> bool:
    """Whether it can be the round end of a stroke; dots with an outline cannot."""
    return mark.tag == "circle" and mark.attributes["class"] in _FILLED


def _depth(written: str) -> str:
    return f"{round(float(written) * _DEPTHS) / _DEPTHS:g}"


def _one(marks: list[Mark]) -> Mark:
    first = marks[0].attributes
    attributes = {"class": first["class"], "d": "".join(map(_stroke, marks))}
    if "fill-opacity" in first:
        attributes["fill-opacity"] = _depth(first["fill-opacity"])
    if "r" in first:
        attributes |= {"class": f"{first['class']} dots", "style": f"stroke-width:{_twice(first)}"}
    return Mark("path", {**attributes, "pointer-events": "none"})


def _twice(attributes: dict[str, str]) -> str:
    return f"{2 * float(attributes['r']):g}"


def _stroke(mark: Mark) -> str:
    at = mark.attributes
    if mark.tag == "circle":
        return f"M{at['cx']} {at['cy']}h0"
    if mark.tag == "line":
        return f"M{at['x1']} {at['y1']}L{at['x2']} {at['y2']}"
    return f"M{at['x']} {at['y']}h{at['width']}v{at['height']}h-{at['width']}z"
