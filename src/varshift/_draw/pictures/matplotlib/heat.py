"""Shares as a heat map: sources across, places down."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from varshift._draw.pictures.described import Heat
from varshift._draw.pictures.matplotlib.axes import named, rows
from varshift._draw.pictures.matplotlib.drawing import draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__: list[str] = []

_MOST = 2400  # cells whose numbers are tried: more fit on no page, and each takes its time
_NO_ROUTE = {"facecolor": "#e5e7eb", "edgecolor": "#9ca3af", "hatch": "////"}


@draw.register(Heat)
def _(picture: Heat, ax: Axes) -> Axes:
    """Each share as a colour and, where it fits, a number; hatched where no route leads."""
    unknown = (math.nan, math.nan)
    percent = [
        [100 * picture.shares.get((source, place), unknown)[0] for source in picture.sources]
        for place in picture.places
    ]
    # To the largest one, either way: shares of 10 % are what there is to be seen in most nets.
    most = max((abs(share) for line in percent for share in line if share == share), default=0)
    most = most or 1.0
    # What has no route to a place is not 0: it has no colour of the scale at all.
    ax.patch.set(**_NO_ROUTE)
    shown = ax.imshow(percent, cmap="PuOr_r", vmin=-most, vmax=most, aspect="auto")
    bar = ax.figure.colorbar(shown, ax=ax)
    bar.set_label("share of variance (%)\nhatched: no route", fontsize="small")
    bar.ax.tick_params(labelsize="small")
    _numbers(ax, percent, most)
    named(ax, picture.sources)
    rows(ax, picture.places)
    return ax


def _numbers(ax: Axes, percent: list[list[float]], most: float) -> None:
    """The shares in their cells, as long as they fit."""
    from varshift._draw.pictures.matplotlib.ticks import Number

    known = [
        (column, row, share)
        for row, line in enumerate(percent)
        for column, share in enumerate(line)
        if not math.isnan(share)
    ]
    if len(known) > _MOST:
        return
    widest = max((str(round(share)) for _, _, share in known), key=len, default="")
    for column, row, share in known:
        colour = "white" if abs(share) > 0.55 * most else "black"
        ax.add_artist(Number(column, row, str(round(share)), widest, color=colour, clip_on=True))
