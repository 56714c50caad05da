"""Where a picture is drawn: the caller's axes, or new ones that no window opens for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import singledispatch
from typing import TYPE_CHECKING

from varshift._base import Result
from varshift._draw.figures import shortened
from varshift._visible import flat
from varshift.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLOURS", "draw", "height", "lines", "named", "plot", "refuse_nothing", "rows", "width"]

# The page's colours; told apart by every common kind of colour blindness, and in grey.
COLOURS = {"train": "#c2410c", "test": "#1d4ed8", "stored": "#7b8794", "data": "#0f766e"}
_SLANT = 40  # degrees
_COLUMN, _ROW = 14.0, 12.0  # points that a slanted name, and a level one, needs to be read
_NARROW = 300  # points of axes below which names are cut shorter
_USUAL, _TALLEST = 3.6, 10.0  # inches of a new figure; a page is not taller


def plot(result: Result, ax: Axes | None = None) -> Axes:
    """The result's picture on `ax`, or on the axes of a new figure."""
    if draw.dispatch(type(result)) is _nothing:
        raise UsageError(
            f"a {type(result).__name__} has no one picture to plot; to_html(path) draws all there "
            "is, and measure(…).plot() the shift"
        )
    return draw(result, _axes(lines(result)) if ax is None else ax)


@singledispatch
def draw(result: Result, ax: Axes) -> Axes:
    """The picture of one kind of result."""
    raise NotImplementedError


@singledispatch
def lines(result: Result) -> int:
    """How many rows its picture has one above the other: a new figure is as tall."""
    return 0


_nothing = draw.dispatch(object)


def _axes(lines: int) -> Axes:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "report", "plot()") from error
    tall = min(max(_USUAL, 1.2 + lines * (_ROW + 1) / 72), _TALLEST)
    # Not pyplot: it keeps every figure alive, and may want a window where there is none.
    figure = Figure(figsize=(7.0, tall), layout="constrained")
    return figure.add_subplot()


def refuse_nothing(sites: Mapping[str, object], skipped: Mapping[str, str]) -> None:
    """Raise UsageError where no norm has a figure: empty axes would not say why."""
    if sites:
        return
    said = next((f"{path}: {why}" for path, why in skipped.items()), "the model has no norm")
    raise UsageError(f"no norm has a figure here, so there is nothing to plot ({said})")


def named(ax: Axes, names: Sequence[str]) -> None:
    """Names along the bottom, in the model's order; every so many where there is no room."""
    from varshift._draw.plots.ticks import EveryFew, Names

    ax.xaxis.set_major_locator(EveryFew(len(names), _COLUMN))
    cut = 16 if width(ax) < _NARROW else 24
    ax.xaxis.set_major_formatter(Names([_literal(shortened(flat(name), cut)) for name in names]))
    ax.tick_params(axis="x", labelsize="small", labelrotation=_SLANT)
    # Ticks made later take after these.
    for label in ax.get_xticklabels():
        label.set_horizontalalignment("right")


def rows(ax: Axes, names: Sequence[str]) -> None:
    """Names up the side, the first at the top; every so many where there is no room."""
    from varshift._draw.plots.ticks import EveryFew, Names

    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.yaxis.set_major_locator(EveryFew(len(names), _ROW))
    cut = 18 if width(ax) < _NARROW else 28
    ax.yaxis.set_major_formatter(Names([_literal(shortened(flat(name), cut)) for name in names]))
    ax.tick_params(axis="y", labelsize="small")


def width(ax: Axes) -> float:
    """Of the axes as they are before a layout gives room to labels, in points."""
    return float(ax.bbox.width) * 72 / float(ax.figure.dpi)


def height(ax: Axes) -> float:
    """The same, upwards."""
    return float(ax.bbox.height) * 72 / float(ax.figure.dpi)


def _literal(name: str) -> str:
    """A dollar sign is part of the name, not the start of a formula."""
    return name.replace("$", r"\$")
