"""Figures and their scatter norm by norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from varshift._draw.pictures.described import Boxes, Depth, Series
from varshift._draw.pictures.grades import entries, zones
from varshift._draw.pictures.matplotlib.axes import (
    folded,
    height,
    ink,
    literal,
    magnitudes,
    named,
    width,
)
from varshift._draw.pictures.matplotlib.drawing import draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__: list[str] = []

_LEGEND, _LINE = 330.0, 13.0  # points: width of a legend in one row, height of a row
_LABELS = 0.7  # of the height of axes stays beside the names, where a layout gives them room
# Told apart in grey and by every eye.
_MARKERS = {"none": "o", "mild": "^", "clear": "s", "severe": "D"}
_ROLES = {"train": "o-", "test": "s-", "stored": "D--", "data": "v-", "good": "P-"}


@draw.register(Depth)
def _(picture: Depth, ax: Axes) -> Axes:
    """Each series over the norms, coloured by grade where grades are given; and the level."""
    size = min(4.0, max(1.5, 0.6 * width(ax) / max(len(picture.names), 1)))
    for one in picture.series:
        (_graded if one.grades else _plain)(ax, one, size)
    _upright(ax, picture.label)
    if picture.level is not None:
        _level(ax, picture.level)
    ax.margins(x=0.02 if len(picture.names) > 1 else 0.5)
    if not named(ax, picture.names) and picture.series:
        _beside(ax, picture)
    _legend(ax)
    if picture.level is not None and all(one.grades for one in picture.series):
        _zones(ax, picture.level)
    return ax


@draw.register(Boxes)
def _(picture: Boxes, ax: Axes) -> Axes:
    """From 5 to 95 % a line, the middle half a bar, the median a dash."""
    colour = ink("test")
    known = [
        (place, *five)
        for place, five in enumerate(picture.quantiles)
        if all(math.isfinite(value) and value > 0 for value in five)
    ]
    if known:
        places, least, low, middle, high, most = map(list, zip(*known, strict=True))
        ax.vlines(places, least, most, color=colour, linewidth=0.8)
        ax.vlines(places, low, high, color=colour, alpha=0.35, linewidth=_wide(ax, picture))
        ax.plot(places, middle, "_", color=colour, markersize=_wide(ax, picture))
    _upright(ax, picture.label)
    _level(ax, 1.0)
    named(ax, picture.names)
    return ax


def _wide(ax: Axes, picture: Boxes) -> float:
    """Points of a box."""
    return min(14.0, max(1.0, 0.5 * width(ax) / max(len(picture.names), 1)))


def _plain(ax: Axes, one: Series, size: float) -> None:
    colour = ink(one.role)
    known = _ends(one)
    if known:
        at, low, high = zip(*known, strict=True)
        ax.vlines(at, low, high, color=colour, alpha=0.3, linewidth=1.2 * size)
    # Hollow where another may stand on it.
    fill = "none" if one.role == "stored" else "full"
    style = _ROLES[one.role]
    ax.plot(one.values, style, color=colour, fillstyle=fill, markersize=size, label=one.label)


def _graded(ax: Axes, one: Series, size: float) -> None:
    for grade, words in entries([one]):
        at = [place for place, found in enumerate(one.grades) if found == grade]
        colour, chosen = ink(f"grade-{grade}"), set(at)
        known = [each for each in _ends(one) if each[0] in chosen]
        if known:
            places, low, high = zip(*known, strict=True)
            ax.vlines(places, low, high, color=colour, alpha=0.5, linewidth=max(0.3 * size, 0.6))
        ax.plot(
            *(at, [one.values[place] for place in at], _MARKERS[grade]),
            color=colour,
            markersize=size * (0.8 if grade == "none" else 1.1),
            label=words,
        )


def _ends(one: Series) -> list[tuple[int, float, float]]:
    """Intervals that can be drawn on a logarithmic scale, with their places."""
    return [
        (place, low, high)
        for place, (low, high) in enumerate(zip(one.low, one.high, strict=True))
        if all(math.isfinite(end) and end > 0 for end in (low, high, one.values[place]))
    ]


def _upright(ax: Axes, label: str) -> None:
    magnitudes(ax, "y")
    ax.set_ylabel(folded(label, _LABELS * height(ax)), fontsize="small")


def _level(ax: Axes, level: float) -> None:
    ax.axhline(level, color="black", linewidth=0.8, linestyle="--", zorder=1)


def _zones(ax: Axes, level: float) -> None:
    """Behind all, where each grade begins."""
    least, most = ax.get_ylim()
    for grade, low, high in zones(level):
        low, high = max(low, least), min(high, most)
        if low < high:
            ax.axhspan(low, high, color=ink(f"grade-{grade}"), alpha=0.08, linewidth=0, zorder=0)
    ax.set_ylim(least, most)


def _beside(ax: Axes, picture: Depth) -> None:
    from varshift._draw.pictures.matplotlib.shown import Beside

    values = picture.series[-1].values
    dots = [(place, value) for place, value in enumerate(values)]
    known = [index for index in picture.named if math.isfinite(values[index])]
    most = 26 if width(ax) >= _LEGEND else 15
    ax.add_artist(Beside(dots, [(index, literal(picture.names[index], most)) for index in known]))


def _legend(ax: Axes) -> None:
    """Inside the axes, where it is in nobody's way in a grid, with room made above the curves."""
    labels: Sequence[str] = ax.get_legend_handles_labels()[1]
    if not labels:
        return
    wide = width(ax) >= _LEGEND
    columns = len(labels) if wide else 2 if width(ax) >= _LEGEND / 2 else 1
    taken = _LINE * math.ceil(len(labels) / columns) + 8
    free = height(ax) * (1 if ax.figure.get_layout_engine() is None else _LABELS)
    share = min(taken / free, 0.5)
    low, high = ax.get_ylim()
    if low > 0 and math.isfinite(high / low):
        ax.set_ylim(low, low * (high / low) ** (1 / (1 - share)))
    ax.legend(
        frameon=False,
        fontsize="small" if wide else "x-small",
        loc="upper center",
        ncols=columns,
        columnspacing=1.0,
        handlelength=2.0 if wide else 1.2,
    )
