"""Blame as a heat map, and the noise that a checkpoint remembers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from varshift._draw.figures import noise_names
from varshift._draw.plots.axes import COLOURS, draw, lines, named, refuse_nothing, rows
from varshift.errors import UsageError
from varshift.results import Explanation, Footprint

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__: list[str] = []

_MOST = 2400  # cells whose numbers are tried: more fit on no page, and each takes its time
_NO_ROUTE = {"facecolor": "#e5e7eb", "edgecolor": "#9ca3af", "hatch": "////"}


def _met(result: Explanation) -> tuple[list[str], list[str]]:
    """The places that noise reaches, and the noises that reach any."""
    blame = result.blame
    from_, to = {noise for noise, _ in blame.share}, {place for _, place in blame.share}
    return [p for p in blame.places if p in to], [n for n in blame.noises if n in from_]


@lines.register(Explanation)
def _(result: Explanation) -> int:
    return len(_met(result)[0])


@draw.register(Explanation)
def _explanation(result: Explanation, ax: Axes) -> Axes:
    """Share of each place's training variance that each source causes alone."""
    places, noises = _met(result)
    if not places:
        raise UsageError(
            "no noise reaches a norm or an output here, so there is no blame to plot; "
            "to_html(path) draws the factors"
        )
    percent = [
        [100 * float(result.blame.share.get((noise, place), math.nan)) for noise in noises]
        for place in places
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
    named(ax, noises)
    rows(ax, places)
    return ax


def _numbers(ax: Axes, percent: list[list[float]], most: float) -> None:
    """The shares in their cells, as long as they fit."""
    from varshift._draw.plots.ticks import Number

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
        ink = "white" if abs(share) > 0.55 * most else "black"
        ax.add_artist(Number(column, row, str(round(share)), widest, color=ink, clip_on=True))


@lines.register(Footprint)
def _(result: Footprint) -> int:
    return len(result.records())


@draw.register(Footprint)
def _footprint(result: Footprint, ax: Axes) -> Axes:
    """drop_p of each noise remembered, with its interval; a cross is what the code has there."""
    refuse_nothing(result.sites, result.skipped)
    records = result.records()
    for row, record in enumerate(records):
        colour = COLOURS["train" if record.claimed else "stored"]
        ax.hlines(row, record.low, record.high, color=colour)
        fill = "full" if record.claimed else "none"
        ax.plot(record.drop_p, row, "o", color=colour, fillstyle=fill, markersize=4)
        if record.coded is not None:
            ax.plot(record.coded, row, "x", color="black", markersize=5)
    ax.axvline(0, color="black", linewidth=0.8, linestyle="--")
    ax.tick_params(axis="x", labelsize="small")
    code = any(record.coded is not None for record in records)
    words = "filled: claimed; ×: in the code" if code else "filled: claimed"
    ax.set_xlabel(f"drop_p, 95 % interval\n({words})", fontsize="small")
    rows(ax, noise_names(records))
    return ax
