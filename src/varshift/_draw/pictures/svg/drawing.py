"""The one function that draws every kind of picture; each kind is registered in its own file."""

from __future__ import annotations

from functools import singledispatch

from varshift._draw.pictures.described import Picture
from varshift._draw.pictures.svg.canvas import Canvas

__all__ = ["svg"]


@singledispatch
def svg(picture: Picture, *, narrow: bool = False) -> Canvas:
    """The picture as marks: for a wide screen, or `narrow` for a phone, where all is in view.

    A page holds both and lets its style sheet show one.

    >>> from varshift._draw.pictures.described import Depth, Series
    >>> shift = Series("test", "Δ", [0.5, 0.9], grades=["severe", "mild"])
    >>> picture = Depth("Shift at each norm", "Δ", ["stem.bn", "head.bn"], [shift])
    >>> svg(picture).width, svg(picture, narrow=True).width
    (760.0, 360.0)
    """
    raise TypeError(f"no picture is known for a {type(picture).__name__}")
