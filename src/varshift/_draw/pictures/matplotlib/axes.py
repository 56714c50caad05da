"""Names and scales of axes, and how much room they have."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

from varshift._draw.figures import shortened
from varshift._draw.pictures.colours import COLOURS
from varshift._visible import flat

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["folded", "height", "ink", "literal", "magnitudes", "named", "rows", "width"]

_SLANT = 40  # degrees
_COLUMN, _ROW = 14.0, 12.0  # points that a slanted name, and a level one, needs to be read
_NARROW = 300  # points of axes below which names are cut shorter
_LETTER = 5.0  # points of a letter of a small label


def ink(meaning: str) -> str:
    """The colour of a role or a grade, on white paper."""
    return COLOURS[meaning].light


def named(ax: Axes, names: Sequence[str]) -> bool:
    """Names along the bottom, in the model's order; every so many where there is no room.

    False where some were left out.
    """
    from varshift._draw.pictures.matplotlib.ticks import EveryFew, Names

    ax.xaxis.set_major_locator(EveryFew(len(names), _COLUMN))
    cut = 16 if width(ax) < _NARROW else 24
    ax.xaxis.set_major_formatter(Names([literal(name, cut) for name in names]))
    ax.tick_params(axis="x", labelsize="small", labelrotation=_SLANT)
    # Ticks made later take after these.
    for label in ax.get_xticklabels():
        label.set_horizontalalignment("right")
    return len(names) * _COLUMN <= width(ax)


def rows(ax: Axes, names: Sequence[str]) -> None:
    """Names up the side, the first at the top; every so many where there is no room."""
    from varshift._draw.pictures.matplotlib.ticks import EveryFew, Names

    ax.set_ylim(max(len(names), 1) - 0.5, -0.5)
    ax.yaxis.set_major_locator(EveryFew(len(names), _ROW))
    cut = 18 if width(ax) < _NARROW else 28
    ax.yaxis.set_major_formatter(Names([literal(name, cut) for name in names]))
    ax.tick_params(axis="y", labelsize="small")


def magnitudes(ax: Axes, side: str) -> None:
    """A logarithmic scale on side "x" or "y", its numbers as they are said: 2, not 2 × 10⁰."""
    from varshift._draw.pictures.matplotlib.ticks import Magnitudes, Plain

    axis = ax.xaxis if side == "x" else ax.yaxis
    (ax.set_xscale if side == "x" else ax.set_yscale)("log")
    axis.set_major_locator(Magnitudes())
    axis.set_major_formatter(Plain())
    axis.set_minor_formatter(Plain(minor=True))
    axis.set_tick_params(which="both", labelsize="small")


def folded(label: str, room: float) -> str:
    """A label over as many lines as it needs in so many points."""
    return fill(label.replace("$", r"\$"), max(int(room / _LETTER), 12))


def literal(name: str, most: int) -> str:
    """A name in so many columns; a dollar sign is part of it, not the start of a formula."""
    return shortened(flat(name), most).replace("$", r"\$")


def width(ax: Axes) -> float:
    """Of the axes as they are before a layout gives room to labels, in points."""
    return float(ax.bbox.width) * 72 / float(ax.figure.dpi)


def height(ax: Axes) -> float:
    """The same, upwards."""
    return float(ax.bbox.height) * 72 / float(ax.figure.dpi)
