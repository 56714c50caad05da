"""Axes that several pictures share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import wrap

from varshift._draw.figures import shortened
from varshift._draw.pictures.placing import LINE, wide
from varshift._draw.pictures.svg.canvas import Canvas, said
from varshift._draw.pictures.svg.scales import Scale

__all__ = ["NARROW", "Columns", "Heading", "beside", "level", "one_in", "room", "upright"]

NARROW = 360.0  # units of a picture for a phone, shown there at about a pixel each
_LEFT, _RIGHT = 62.0, 16.0
_SLANT, _APART = 38.0, 20.0  # degrees; units between columns that slanted names need
_NAME = 18  # columns of a slanted name
_BELOW = "norms, in the order data reaches them"


@dataclass(frozen=True)
class Heading:
    """What stands above a picture: what its colours mean, then what its scale counts.

    `entries` are colours with a word each, `lead` stands before the first. Both go over several
    lines where the picture is narrow.
    """

    width: float
    label: str = ""
    entries: Sequence[tuple[str, str]] = ()
    lead: str = ""

    @property
    def bottom(self) -> float:
        """Where the picture below it may begin."""
        return 8.0 + LINE * (len(self._rows()) + len(self._lines())) + 10.0

    def draw(self, canvas: Canvas) -> None:
        """Write it."""
        y = LINE
        if self.lead:
            canvas.text(4, y, self.lead, "quiet")
        for row in self._rows():
            for x, role, word in row:
                canvas.dot(x + 4, y - 4, role)
                canvas.text(x + 12, y, word)
            y += LINE
        for line in self._lines():
            canvas.text(4, y, line, "quiet")
            y += LINE

    def _lines(self) -> list[str]:
        return wrap(self.label, max(int((self.width - 8) / wide("n")), 10))

    def _rows(self) -> list[list[tuple[float, str, str]]]:
        rows: list[list[tuple[float, str, str]]] = []
        x = math.inf
        for role, word in self.entries:
            if x + 12 + wide(word) > self.width:
                x = 4.0 if rows or not self.lead else 14.0 + wide(self.lead)
                rows.append([])
            rows[-1].append((x, role, word))
            x += 28 + wide(word)
        return rows


class Columns:
    """Norms side by side, in the model's order: where each stands, and its name below."""

    def __init__(self, names: Sequence[str], top: float, high: float, width: float) -> None:
        self.names = names
        self.width = width
        self.top, self.bottom = top, top + high
        self.right = width - _RIGHT
        step = (self.right - _LEFT) / max(len(names), 1)
        self.few = step >= _APART
        # The first slanted name reaches beyond the scale's numbers.
        reach = _longest(names) * math.cos(math.radians(_SLANT)) if self.few else 0.0
        self.left = max(_LEFT, reach - step / 2)
        self.step = (self.right - self.left) / max(len(names), 1)
        self.height = self.bottom + (_below(names) if self.few else 58.0)

    def __getitem__(self, index: int) -> float:
        return self.left + (index + 0.5) * self.step

    def draw(self, canvas: Canvas, scale: Scale, reference: float | None = None) -> None:
        """Grid, numbers to the left, names below (their place in the model where they are many)."""
        upright(canvas, scale, self.left, self.right, reference)
        every = 1 if self.few else math.ceil(len(self.names) / (self.right - self.left) * 56)
        for index in range(0, len(self.names), every):
            x, name = self[index], self.names[index]
            canvas.line(x, self.bottom, x, self.bottom + 4, "axis")
            if self.few:
                cut = shortened(name, _NAME)
                canvas.text(
                    x + 4, self.bottom + 16, cut, anchor="end", turn=-_SLANT, hint=said(name)
                )
            else:
                canvas.text(x, self.bottom + 18, str(index + 1), anchor="middle", hint=said(name))
        canvas.text(self.left, self.height - 8, _BELOW, "quiet")


def _longest(names: Sequence[str]) -> float:
    return max((wide(shortened(name, _NAME)) for name in names), default=0.0)


def _below(names: Sequence[str]) -> float:
    """Room for the longest name, which hangs down at an angle, and for the line below."""
    return 52.0 + _longest(names) * math.sin(math.radians(_SLANT))


def upright(
    canvas: Canvas, scale: Scale, left: float, right: float, reference: float | None = None
) -> None:
    """A scale up the left side."""
    for tick in scale.ticks(reference):
        y = scale(tick)
        canvas.line(left, y, right, y, "grid")
        canvas.text(left - 6, y + 4, _tick(tick), anchor="end")


def level(canvas: Canvas, scale: Scale, top: float, bottom: float, label: str) -> None:
    """A scale along the bottom."""
    last = -math.inf
    for tick in scale.ticks():
        x, words = scale(tick), _tick(tick)
        canvas.line(x, top, x, bottom, "grid")
        half = wide(words) / 2
        if x - half > last:  # numbers such as 1e-17 are wide
            canvas.text(x, bottom + 16, words, anchor="middle")
            last = x + half + 4
    canvas.text(scale.end, bottom + 34, label, "quiet", anchor="end")


def beside(names: Iterable[str], most: int) -> float:
    """Room for the longest of the names that stand beside a picture's rows."""
    return 20.0 + max((wide(shortened(name, most)) for name in names), default=0.0)


def one_in(step: int, caption: str) -> str:
    """The caption of a picture that shows a channel in so many, and says so."""
    return " ".join(filter(None, [caption, f"One channel in {step} is shown." * (step > 1)]))


def room(narrow: bool, usual: float) -> float:
    """The width of a picture, or of its part, for a phone or for a wider screen."""
    return NARROW if narrow else usual


def _tick(value: float) -> str:
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.0e}".replace("-", "−")
    return f"{value:.10g}".replace("-", "−")
