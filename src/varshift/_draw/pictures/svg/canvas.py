"""Pictures as plain marks, which `image` turns into SVG with every word escaped.

Colours are classes (`train`, `test`, `grade-severe` …), so that one style sheet serves a light
screen, a dark one and paper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from varshift._draw.figures import shortened

__all__ = ["Canvas", "Mark", "said"]


_TOLD = 300  # characters of a name in a picture's hint; the tables have it in full


@dataclass(frozen=True)
class Mark:
    """One SVG element; `hint` is what a pointer resting on it is told."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    hint: str = ""


@dataclass
class Canvas:
    """A picture that is being drawn, `width` × `height` units; `about` says it in words.

    >>> canvas = Canvas(100, 50, "one dot")
    >>> canvas.dot(10, 20, "train", hint="layer.bn")
    >>> canvas.marks[0].tag, canvas.marks[0].attributes["cx"]
    ('circle', '10')
    """

    width: float
    height: float
    about: str
    caption: str = ""
    marks: list[Mark] = field(default_factory=list)

    def line(
        self, x1: float, y1: float, x2: float, y2: float, role: str, *, hint: str = ""
    ) -> None:
        """A straight line."""
        ends = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
        self._add("line", role, {name: _unit(value) for name, value in ends.items()}, hint=hint)

    def path(self, points: list[tuple[float, float]], role: str) -> None:
        """A line through points; broken where one of them is not finite."""
        steps: list[str] = []
        pen = "M"
        for x, y in points:
            if not math.isfinite(y):
                pen = "M"
                continue
            steps.append(f"{pen}{_unit(x)} {_unit(y)}")
            pen = "L"
        self._add("path", role, {"d": "".join(steps)})

    def bow(
        self, start: tuple[float, float], end: tuple[float, float], role: str, *, hint: str = ""
    ) -> None:
        """A curve that leaves and arrives level."""
        middle = (start[0] + end[0]) / 2
        points = (middle, start[1], middle, end[1], *end)
        curve = " ".join(map(_unit, points))
        self._add("path", role, {"d": f"M{_unit(start[0])} {_unit(start[1])}C{curve}"}, hint=hint)

    def dot(self, x: float, y: float, role: str, *, size: float = 3.5, hint: str = "") -> None:
        """A dot."""
        self._add("circle", role, {"cx": _unit(x), "cy": _unit(y), "r": _unit(size)}, hint=hint)

    def box(
        self,
        x: float,
        y: float,
        wide: float,
        high: float,
        role: str,
        *,
        depth: float | None = None,
        hint: str = "",
    ) -> None:
        """A rectangle; `depth` from 0 to 1 is how strong its colour is."""
        sides = {"x": x, "y": y, "width": max(wide, 0.0), "height": max(high, 0.0)}
        attributes = {name: _unit(value) for name, value in sides.items()}
        if depth is not None:
            attributes["fill-opacity"] = f"{min(max(depth, 0.0), 1.0):.3f}"
        self._add("rect", role, attributes, hint=hint)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        role: str = "label",
        *,
        anchor: str = "start",
        turn: float = 0.0,
        hint: str = "",
    ) -> None:
        """A line of text; `anchor` is start, middle or end, `turn` an angle in degrees."""
        attributes = {"x": _unit(x), "y": _unit(y), "text-anchor": anchor}
        if turn:
            attributes["transform"] = f"rotate({_unit(turn)} {_unit(x)} {_unit(y)})"
        self._add("text", role, attributes, text=words, hint=hint)

    def _add(
        self, tag: str, role: str, attributes: dict[str, str], *, text: str = "", hint: str = ""
    ) -> None:
        self.marks.append(Mark(tag, {"class": role, **attributes}, text, hint))


def said(name: str, *figures: str) -> str:
    """A hint: a name, not without end, and its figures below."""
    return "\n".join([shortened(name, _TOLD), *figures])


def _unit(value: float) -> str:
    """Two decimals, none where they say nothing: a picture of 300 norms is mostly numbers."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
