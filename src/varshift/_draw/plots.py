"""One static picture per result, drawn by matplotlib: for papers, and for a notebook's cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from varshift._base import Result
from varshift._draw.document import Document
from varshift._draw.documents import document
from varshift._draw.pictures.described import Routes
from varshift._draw.pictures.matplotlib import draw, fresh_axes
from varshift._visible import flat
from varshift.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot"]


def plot(result: Result, ax: Axes | None = None) -> Axes:
    """The result's picture on `ax`, or on the axes of a new figure, which a notebook shows.

    Raises:
        UsageError: it has no picture that axes can hold; the message says why.
    """
    made = document(result)
    picture = made.picture
    if picture is None or isinstance(picture, Routes):
        raise UsageError(
            f"this {type(result).__name__} has no one picture to plot{_why(made)}; to_html(path) "
            "draws all there is, and measure(…).plot() the shift"
        )
    return draw(picture, fresh_axes(picture) if ax is None else ax)


def _why(made: Document) -> str:
    """What a result without a picture says of itself: nothing else would tell why."""
    if made.picture is not None:
        return ""
    said = " ".join(filter(None, (made.head, made.detail, *made.notes[:1])))
    return f" ({flat(said).rstrip('.')})" if said else ""
