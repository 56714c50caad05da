"""The one function that draws every kind of picture on axes; each kind has its own file."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING

from varshift._draw.pictures.described import Bars, Heat, Intervals, Picture
from varshift.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw", "fresh_axes", "rows_of"]

_ROW = 13.0  # points of a row that has a name
_USUAL, _TALLEST = 3.6, 10.0  # inches of a new figure; a page is not taller


@singledispatch
def draw(picture: Picture, ax: Axes) -> Axes:
    """The picture on these axes.

    Raises:
        UsageError: matplotlib does not draw that kind; routes are for pages.
    """
    raise UsageError(
        f"a picture of kind {type(picture).__name__} is not drawn by matplotlib; "
        "to_html(path) draws it"
    )


def fresh_axes(picture: Picture) -> Axes:
    """Axes of a figure of their own, as tall as the picture needs, that a notebook shows."""
    try:
        from matplotlib.figure import Figure

        from varshift._draw.pictures.matplotlib.shown import ShownAxes
    except ImportError as error:
        raise MissingExtraError("matplotlib", "report", "plot()") from error
    tall = min(max(_USUAL, 1.2 + rows_of(picture) * _ROW / 72), _TALLEST)
    # Not pyplot: it keeps every figure alive, and may want a window where there is none.
    figure = Figure(figsize=(7.0, tall), layout="constrained")
    return figure.add_subplot(axes_class=ShownAxes)


def rows_of(picture: Picture) -> int:
    """How many rows stand one above the other."""
    match picture:
        case Heat():
            return len(picture.places)
        case Intervals():
            return len(picture.rows)
        case Bars():
            return len(picture.names)
    return 0
