"""Axes that a notebook shows by themselves, and names that find their places when drawn.

Imported when first drawn with: matplotlib is an extra. What a figure holds is defined here and not
in a function, so that figures can be pickled.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from varshift._draw.pictures.placing import Box, PlacedLabels

__all__ = ["Beside", "ShownAxes"]

_DOTS = 144.0  # an inch: sharp on screens of twice the usual density
_SIZE, _UNITS = 7.0, 12.0  # of a name: in points, and in the units that `PlacedLabels` counts in


class ShownAxes(Axes):
    """Axes whose figure a notebook shows where they are a cell's last line.

    Only pyplot's figures are shown without that, and pyplot keeps every one of them alive.
    """

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """The figure, and the size it is to be shown in."""
        figure = self.figure
        assert isinstance(figure, Figure)
        held = io.BytesIO()
        figure.savefig(held, format="png", dpi=_DOTS)
        wide, high = figure.get_size_inches()
        return held.getvalue(), {"width": round(72 * wide), "height": round(72 * high)}


class Beside(Artist):
    """Names beside some of the dots, where they cover no other name; found anew at each drawing."""

    def __init__(
        self, dots: Sequence[tuple[float, float]], named: Sequence[tuple[int, str]]
    ) -> None:
        super().__init__()
        self._dots = list(dots)
        self._names = list(named)
        self.set_in_layout(False)

    def draw(self, renderer: Any) -> None:
        """Draw them."""
        axes = self.axes
        assert axes is not None
        unit = _SIZE / _UNITS * axes.figure.dpi / 72  # pixels
        area = axes.bbox
        pixels = axes.transData.transform(self._dots)
        # Counted from the upper left, as on a page.
        dots = [((x - area.x0) / unit, (area.y1 - y) / unit) for x, y in pixels]
        taken = []
        if (legend := axes.get_legend()) is not None:
            box = legend.get_window_extent(renderer)
            sides = (box.x0 - area.x0, area.y1 - box.y1, box.x1 - area.x0, area.y1 - box.y0)
            taken.append(Box(*(side / unit for side in sides)))
        labels = PlacedLabels(Box(0.0, 0.0, area.width / unit, area.height / unit), dots, taken)
        for index, name in self._names:
            placed = labels.place(*dots[index], name)
            if placed is None:
                continue
            words, tie = placed
            at = area.x0 + unit * words[0], area.y1 - unit * words[1]
            self._draw_one(renderer, Text(*at, name, fontsize=_SIZE, fontweight="bold"))
            if tie is not None:
                ends = [(area.x0 + unit * x, area.y1 - unit * y) for x, y in (dots[index], tie)]
                across, up = zip(*ends, strict=True)
                self._draw_one(renderer, Line2D(across, up, color="0.4", linewidth=0.6))
        self.stale = False

    def _draw_one(self, renderer: Any, one: Artist) -> None:
        assert self.axes is not None
        one.set_figure(self.axes.figure)
        one.draw(renderer)
