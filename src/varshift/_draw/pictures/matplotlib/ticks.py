"""Ticks and numbers that look at the room they have, each time they are drawn.

Imported when first drawn with: matplotlib is an extra. What a figure holds is defined here and not
in a function, so that figures can be pickled.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.ticker import Formatter, Locator, LogLocator, MaxNLocator

__all__ = ["EveryFew", "Magnitudes", "Names", "Number", "Plain"]

_BETWEEN = {"x": 24.0, "y": 10.0}  # points between two labels of a log axis
# Multiples of a power of ten, from many to few: the narrowest step of each, in decades.
_KEPT = (
    (range(2, 10), math.log10(10 / 9)),
    ((2, 3, 5, 7), math.log10(10 / 7)),
    ((2, 5), math.log10(2)),
)


class EveryFew(Locator):
    """Whole numbers below `count`, every so many that each has `room` points."""

    def __init__(self, count: int, room: float) -> None:
        self._count = count
        self._room = room

    def __call__(self) -> list[int]:
        """Where ticks stand, as the axis is now."""
        low, high = sorted(self.axis.get_view_interval())  # type: ignore[union-attr]
        return self.tick_values(low, high)

    def tick_values(self, vmin: float, vmax: float) -> list[int]:
        """Where ticks stand on an axis from `vmin` to `vmax`."""
        step = max(1, math.ceil((vmax - vmin) * self._room / max(_points(self.axis), 1.0)))
        return [place for place in range(0, self._count, step) if vmin <= place <= vmax]


class Names(Formatter):
    """The name that belongs to a whole number."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Its name; nothing beside and between them."""
        place = round(x)
        return self._names[place] if place == x and 0 <= place < len(self._names) else ""


class Magnitudes(LogLocator):
    """Powers of ten; round steps where less than a decade is seen, which may hold none."""

    def tick_values(self, vmin: float, vmax: float) -> Any:
        """Where ticks stand on an axis from `vmin` to `vmax`."""
        low, high = sorted((vmin, vmax))
        if low <= 0 or high >= 10 * low:
            return super().tick_values(vmin, vmax)
        # As many that the last two, the nearest to each other on a log axis, stay apart.
        most = (
            (1 - low / high)
            * _decade(self.axis, low, high)
            / (_BETWEEN[self.axis.axis_name] * math.log(10))  # type: ignore[union-attr]
        )
        return MaxNLocator(nbins=int(min(max(most, 2), 8)), steps=[1, 2, 5, 10]).tick_values(
            low, high
        )


class Plain(Formatter):
    """Numbers of a log axis as they are said, 0.05 and 2; between powers of ten only what fits."""

    def __init__(self, *, minor: bool = False) -> None:
        self._minor = minor

    def __call__(self, x: float, pos: int | None = None) -> str:
        """The number, or nothing where there is no room for it."""
        return f"{x:.6g}" if not self._minor or self._fits(x) else ""

    def _fits(self, x: float) -> bool:
        low, high = sorted(self.axis.get_view_interval())  # type: ignore[union-attr]
        if low <= 0 or high < 10 * low:  # the round steps of `Magnitudes` are enough
            return False
        decade = _decade(self.axis, low, high)
        apart = _BETWEEN[self.axis.axis_name]  # type: ignore[union-attr]
        kept: Iterable[int] = next((kept for kept, step in _KEPT if step * decade >= apart), ())
        return round(x / 10 ** math.floor(math.log10(x) + 1e-9)) in kept


class Number(Text):
    """A number in a cell of a heat map, small or smaller, or left out where `widest` has no room.

    All cells ask for the widest number, so that either all have theirs or none.
    """

    def __init__(self, x: float, y: float, text: str, widest: str, **kept: Any) -> None:
        super().__init__(x, y, text, ha="center", va="center", fontsize="small", **kept)
        self._widest = widest
        usual = float(self.get_fontsize())
        self._sizes = (usual, 0.72 * usual)

    def draw(self, renderer: Any) -> None:
        """Draw it, if it fits."""
        size = self._fitting()
        if size is None:
            self.stale = False
            return
        self.set_fontsize(size)
        super().draw(renderer)

    def _fitting(self) -> float | None:
        axes = self.axes
        assert axes is not None
        corners = axes.transData.transform([(0, 0), (1, 1)])
        width, height = abs(corners[1] - corners[0]) * 72 / axes.figure.dpi
        return next(
            (
                size
                for size in self._sizes
                if height >= 1.1 * size and width >= (0.62 * len(self._widest) + 0.4) * size
            ),
            None,
        )


def _decade(axis: Any, low: float, high: float) -> float:
    """How long a decade of a log axis is, in points."""
    return _points(axis) / max(math.log10(high / low), 1e-9)


def _points(axis: Any) -> float:
    """How long an axis is, in points."""
    axes: Axes = axis.axes
    box = axes.bbox
    pixels = box.width if axis.axis_name == "x" else box.height
    return float(pixels) * 72 / float(axes.figure.dpi)
