"""Severity by norm over the steps of a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from varshift._draw.pictures.colours import CYCLE
from varshift._draw.pictures.described import Lines
from varshift._draw.pictures.matplotlib.axes import folded, height, ink, literal, magnitudes
from varshift._draw.pictures.matplotlib.drawing import draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__: list[str] = []


@draw.register(Lines)
def _(picture: Lines, ax: Axes) -> Axes:
    """The first lines by name, the others in grey behind them."""
    for line in picture.lines[len(CYCLE) :]:
        ax.plot(line.steps, line.values, color=ink("stored"), linewidth=0.6, alpha=0.5)
    for line, colour in reversed(list(zip(picture.lines, CYCLE, strict=False))):
        ax.plot(
            *(line.steps, line.values, ".-"),
            color=colour.light,
            linewidth=1.2,
            markersize=4,
            label=literal(line.name, 24),
        )
    ax.axhline(picture.level, color=ink("stored"), linewidth=0.8, linestyle=":")
    magnitudes(ax, "y")
    ax.tick_params(axis="x", labelsize="small")
    ax.set_xlabel("step", fontsize="small")
    ax.set_ylabel(folded(picture.label, 0.7 * height(ax)), fontsize="small")
    if picture.lines:
        ax.legend(frameon=False, fontsize="small", loc="upper left", reverse=True)
    return ax
