"""Points and lines on plain scales, pictures beside each other, and either as a file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from varshift._draw.pictures.colours import CYCLE
from varshift._draw.pictures.described import Chart, Panels, Picture, Points
from varshift._draw.pictures.matplotlib.axes import folded, height, ink, literal, width
from varshift._draw.pictures.matplotlib.drawing import draw, rows_of
from varshift.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["png"]

_MARKS = "osD^"
_STYLES = {"line": "-", "dashed": "--"}
_WIDE, _NARROW, _HIGH, _ROW = 7.0, 2.9, 2.9, 0.26  # inches: alone, beside others, up, per name
_DOTS = 110  # an inch


@draw.register(Chart)
def _(picture: Chart, ax: Axes) -> Axes:
    """Each kind of points with its band, and the level."""
    if picture.level is not None:
        ax.axhline(picture.level, color="black", linewidth=0.8, linestyle="--", zorder=1)
    for one in picture.points:
        _points(ax, one)
    ax.set_xlabel(folded(picture.across, width(ax)), fontsize="small")
    ax.set_ylabel(folded(picture.up, height(ax)), fontsize="small")
    ax.tick_params(labelsize="small")
    if all(isinstance(place, int) for one in picture.points for place in one.across):
        ax.locator_params(axis="x", integer=True)
    ax.grid(alpha=0.25)
    if ax.get_legend_handles_labels()[1]:
        ax.legend(frameon=False, fontsize="x-small", handlelength=1.5)
    return ax


def _points(ax: Axes, one: Points) -> None:
    colour = ink("stored") if one.colour is None else CYCLE[one.colour % len(CYCLE)].light
    label = literal(one.label, 40) or None
    if one.style in _STYLES:
        ax.plot(one.across, one.up, _STYLES[one.style], color=colour, linewidth=1.3, label=label)
    else:
        mark = _MARKS[(one.colour or 0) % len(_MARKS)]
        dots = ax.plot(one.across, one.up, mark, color=colour, markersize=4, alpha=0.6, label=label)
        dots[0].set_fillstyle("none" if one.style == "hollow" else "full")
    if len(one.low):
        ax.fill_between(one.across, one.low, one.high, color=colour, alpha=0.2, linewidth=0)


def png(picture: Picture) -> bytes:
    """A picture or panels, under the caption, as a file: the same bytes for the same picture."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "report", "pictures") from error
    rows = picture.rows if isinstance(picture, Panels) else [[picture]]
    across = len(rows[0])
    wide = _WIDE if across == 1 else max(_WIDE, _NARROW * across)
    high = sum(max(_HIGH, 0.8 + _ROW * rows_of(line[0])) for line in rows)
    figure = Figure(figsize=(wide, high), layout="constrained", dpi=_DOTS)
    grid = figure.subplots(len(rows), across, squeeze=False, sharey="row")
    for line, places in zip(rows, grid, strict=True):
        for one, ax in zip(line, places, strict=True):
            draw(one, ax).set_title(literal(one.about, 80), fontsize="small")
            ax.spines[["top", "right"]].set_visible(False)
    for line in grid:
        for ax in line[1:]:
            ax.set_ylabel("")
    figure.suptitle(literal(picture.caption, 120), fontsize="small", x=0.01, ha="left")
    held = io.BytesIO()
    # No version and date in the file.
    figure.savefig(held, format="png", metadata={"Software": None})
    return held.getvalue()
