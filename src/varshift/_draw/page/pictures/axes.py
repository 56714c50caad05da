"""Axes that several pictures share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from varshift._draw.figures import shortened
from varshift._draw.page.canvas import Canvas, said
from varshift._draw.page.scales import Scale

__all__ = ["MANY", "Columns", "beside", "legend", "level", "upright"]

_LEFT, _RIGHT = 62.0, 16.0
MANY = 28  # norms beyond which their places stand for their names


class Columns:
    """Sites side by side, in the model's order: where each stands, and its name below."""

    def __init__(self, names: Sequence[str], top: float, high: float) -> None:
        self.names = names
        self.width = min(max(760.0, 7.0 * len(names) + _LEFT + _RIGHT), 1200.0)
        self.top, self.bottom = top, top + high
        self.step = (self.width - _LEFT - _RIGHT) / max(len(names), 1)
        self.height = self.bottom + (_below(names) if len(names) <= MANY else 58.0)

    def __getitem__(self, index: int) -> float:
        return _LEFT + (index + 0.5) * self.step

    def draw(
        self, canvas: Canvas, scale: Scale, label: str, reference: float | None = None
    ) -> None:
        """Grid, numbers to the left, names below (their place in the model where they are many)."""
        upright(canvas, scale, _LEFT, self.width - _RIGHT, label, reference)
        few = len(self.names) <= MANY
        for index in _shown(len(self.names), MANY if few else 12):
            x, name = self[index], self.names[index]
            canvas.line(x, self.bottom, x, self.bottom + 4, "axis")
            if few:
                cut = shortened(name, 18)
                canvas.text(x + 4, self.bottom + 16, cut, anchor="end", turn=-38, hint=said(name))
            else:
                canvas.text(x, self.bottom + 18, str(index + 1), anchor="middle", hint=said(name))
        below = "norms, in the order data reaches them"
        # To the left where the picture is wider than a phone, so that it is seen there.
        canvas.text(_LEFT, self.height - 8, below, "quiet")


def _below(names: Sequence[str]) -> float:
    """Room for the longest name, which hangs down at an angle."""
    return 44.0 + 4.3 * min(max(map(len, names), default=0), 18)


def upright(
    canvas: Canvas,
    scale: Scale,
    left: float,
    right: float,
    label: str,
    reference: float | None = None,
) -> None:
    """A scale up the left side."""
    for tick in scale.ticks(reference):
        y = scale(tick)
        canvas.line(left, y, right, y, "grid")
        canvas.text(left - 6, y + 4, _tick(tick), anchor="end")
    canvas.text(4, min(scale.start, scale.end) - 10, label, "quiet")


def level(canvas: Canvas, scale: Scale, top: float, bottom: float, label: str) -> None:
    """A scale along the bottom."""
    last = -math.inf
    for tick in scale.ticks():
        x, words = scale(tick), _tick(tick)
        canvas.line(x, top, x, bottom, "grid")
        wide = 7.0 * len(words)
        if x - wide / 2 > last:  # numbers such as 1e-17 are wide
            canvas.text(x, bottom + 16, words, anchor="middle")
            last = x + wide / 2 + 4
    canvas.text(scale.end, bottom + 34, label, "quiet", anchor="end")


def legend(canvas: Canvas, entries: Iterable[tuple[str, str]], left: float, y: float) -> None:
    """What the colours mean: (class, word), from `left` on."""
    x = left
    for role, word in entries:
        canvas.dot(x + 4, y - 4, role)
        canvas.text(x + 12, y, word)
        x += 30 + 7.2 * len(word)


def beside(names: Iterable[str], most: int = 24) -> float:
    """Room for the longest of the names that stand beside a picture's rows."""
    return 20.0 + 6.9 * min(max(map(len, names), default=0), most)


def _tick(value: float) -> str:
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.0e}".replace("-", "−")
    return f"{value:.10g}".replace("-", "−")


def _shown(count: int, most: int) -> range:
    return range(0, count, math.ceil(count / most) if count > most else 1)
