"""A row for each name: intervals against a level, factors of totals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from varshift._draw.pictures.described import Bars, Interval, Intervals
from varshift._draw.pictures.matplotlib.axes import folded, ink, magnitudes, rows, width
from varshift._draw.pictures.matplotlib.drawing import draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__: list[str] = []

_NUMBER = 55  # points that a small change, -0.0015, needs below its tick


@draw.register(Intervals)
def _(picture: Intervals, ax: Axes) -> Axes:
    """Rows from top to bottom; what lies beyond `least` and `most` ends there at an arrow."""
    for place, row in enumerate(picture.rows):
        _row(ax, place, row, (picture.least, picture.most))
    ax.axvline(picture.level, color="black", linewidth=0.8, linestyle="--")
    ax.set_xlabel(folded(picture.label, 0.8 * width(ax)), fontsize="small")
    ax.locator_params(axis="x", nbins=max(3, int(width(ax) // _NUMBER)))
    ax.tick_params(axis="x", labelsize="small")
    rows(ax, [row.label for row in picture.rows])
    return ax


def _row(ax: Axes, place: int, row: Interval, borders: tuple[float, float]) -> None:
    least, most = borders
    colour = ink(row.role)
    if math.isfinite(row.low) or math.isfinite(row.high):
        low, high = max(row.low, least), min(row.high, most)
        ax.hlines(place, low, high, color=colour)
        for end, beyond, arrow in ((low, low > row.low, "<"), (high, high < row.high, ">")):
            if beyond:
                ax.plot(end, place, arrow, color=colour, markersize=4)
    if least <= row.value <= most:
        fill = "none" if row.hollow else "full"
        ax.plot(row.value, place, "o", color=colour, fillstyle=fill, markersize=5)
    if row.mark is not None:
        ax.plot(row.mark, place, "x", color="black", markersize=5)


@draw.register(Bars)
def _(picture: Bars, ax: Axes) -> Axes:
    """The bars of a row multiply to its diamond, the total."""
    magnitudes(ax, "x")
    thick = 0.8 / max(len(picture.factors), 1)
    for index, factor in enumerate(picture.factors):
        at = [place - 0.4 + thick * (index + 0.5) for place in range(len(picture.names))]
        beyond = [value - 1 for value in factor.values]
        ax.barh(at, beyond, 0.9 * thick, 1.0, color=ink(factor.role), label=factor.label)
    ax.plot(
        picture.totals, range(len(picture.totals)), "D", color="black", markersize=4, label="total"
    )
    ax.axvline(1.0, color="black", linewidth=0.8, linestyle="--")
    ax.set_xlabel("times the stored variance", fontsize="small")
    rows(ax, picture.names)
    # Above: bars leave no place free, and looking for the best one takes long where they are many.
    ax.legend(frameon=False, fontsize="small", loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)
    return ax
