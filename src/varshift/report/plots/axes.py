"""Where a picture is drawn: the caller's axes, or new ones that no window opens for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import singledispatch
from typing import TYPE_CHECKING

from varshift.errors import MissingExtraError, UsageError
from varshift.report.figures import shortened
from varshift.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLOURS", "draw", "named", "plot", "rows"]

# The page's colours; told apart by every common kind of colour blindness, and in grey.
COLOURS = {"train": "#c2410c", "test": "#1d4ed8", "stored": "#7b8794", "data": "#0f766e"}
_LABELLED = 40  # names below an axis; of more, every so many


def plot(result: Result, ax: Axes | None = None) -> Axes:
    """The result's picture on `ax`, or on the axes of a new figure."""
    if draw.dispatch(type(result)) is _nothing:
        raise UsageError(
            f"a {type(result).__name__} has no one picture to plot; to_html(path) draws all there "
            "is, and measure(…).plot() the shift"
        )
    return draw(result, _axes() if ax is None else ax)


@singledispatch
def draw(result: Result, ax: Axes) -> Axes:
    """The picture of one kind of result."""
    raise NotImplementedError


_nothing = draw.dispatch(object)


def _axes() -> Axes:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "report", "plot()") from error
    # Not pyplot: it keeps every figure alive, and may want a window where there is none.
    figure = Figure(figsize=(7.0, 3.6), layout="constrained")
    return figure.add_subplot()


def named(ax: Axes, names: Sequence[str]) -> None:
    """Names of norms along the bottom, in the model's order."""
    step = max(math.ceil(len(names) / _LABELLED), 1)
    kept = range(0, len(names), step)
    labels = [_literal(shortened(names[index], 24)) for index in kept]
    ax.set_xticks(list(kept), labels, rotation=40, ha="right", fontsize="small")
    ax.margins(x=0.02)


def rows(ax: Axes, names: Sequence[str]) -> None:
    """Names up the side, the first at the top."""
    labels = [_literal(shortened(name, 28)) for name in names]
    ax.set_yticks(range(len(names)), labels, fontsize="small")
    ax.set_ylim(len(names) - 0.5, -0.5)


def _literal(name: str) -> str:
    """A dollar sign is part of the name, not the start of a formula."""
    return name.replace("$", r"\$")
