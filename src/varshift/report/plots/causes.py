"""Blame as a heat map, and the noise that a checkpoint remembers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from varshift.errors import UsageError
from varshift.explain import Explanation
from varshift.footprint import Footprint
from varshift.report.plots.axes import COLOURS, draw, named, rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__: list[str] = []

_WRITTEN = 120  # cells that have their number in them


@draw.register(Explanation)
def _explanation(result: Explanation, ax: Axes) -> Axes:
    """Share of each place's training variance that each source causes alone."""
    blame = result.blame
    places = [place for place in blame.places if any(pair[1] == place for pair in blame.share)]
    noises = [noise for noise in blame.noises if any(pair[0] == noise for pair in blame.share)]
    if not places:
        raise UsageError(
            "no noise reaches a norm or an output here, so there is no blame to plot; "
            "to_html(path) draws the factors"
        )
    shares = [
        [float(blame.share.get((noise, place), math.nan)) for noise in noises] for place in places
    ]
    shown = ax.imshow(shares, cmap="PuOr_r", vmin=-1, vmax=1, aspect="auto")
    ax.figure.colorbar(shown, ax=ax, label="share of the variance in training")
    for row, line in enumerate(shares):
        for column, share in enumerate(line):
            if len(places) * len(noises) <= _WRITTEN and not math.isnan(share):
                ink = "white" if abs(share) > 0.55 else "black"
                words = f"{round(100 * share)} %"
                ax.text(column, row, words, ha="center", va="center", color=ink, fontsize="small")
    named(ax, noises)
    rows(ax, places)
    return ax


@draw.register(Footprint)
def _footprint(result: Footprint, ax: Axes) -> Axes:
    """drop_p that each norm remembers, with its interval; filled where it is claimed."""
    for place, site in enumerate(result.sites.values()):
        colour = COLOURS["train" if site.claimed else "stored"]
        ax.hlines(place, site.low, site.high, color=colour)
        ax.plot(site.drop_p, place, "o", color=colour, fillstyle="full" if site.claimed else "none")
    ax.axvline(0, color="black", linewidth=0.8, linestyle="--")
    ax.set_xlabel("drop_p, with its interval; filled: claimed")
    rows(ax, list(result.sites))
    return ax
