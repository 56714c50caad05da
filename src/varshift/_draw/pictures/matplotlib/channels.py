"""A dot for each channel of a norm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from varshift._draw.figures import figure
from varshift._draw.pictures.described import Cloud, Pattern
from varshift._draw.pictures.matplotlib.axes import ink, literal, magnitudes
from varshift._draw.pictures.matplotlib.drawing import draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__: list[str] = []


@draw.register(Cloud)
def _(picture: Cloud, ax: Axes) -> Axes:
    """Variance at test over variance in training; on the diagonal nothing shifts."""
    ax.plot(picture.train, picture.test, ".", color=ink("test"), markersize=4)
    magnitudes(ax, "x")
    magnitudes(ax, "y")
    ax.axline((1.0, 1.0), (10.0, 10.0), color="black", linewidth=0.8, linestyle="--")
    ax.set_title(literal(picture.name, 40), fontsize="small")
    ax.set_xlabel("variance in training", fontsize="small")
    ax.set_ylabel("variance at test", fontsize="small")
    return ax


@draw.register(Pattern)
def _(picture: Pattern, ax: Axes) -> Axes:
    """Noise of τ makes the dots a line through the origin with slope τ."""
    ax.plot(picture.lever, picture.excess, ".", color=ink("test"), markersize=4)
    for slope, style in ((picture.low, "--"), (picture.high, "--"), (picture.tau, "-")):
        if math.isfinite(slope):
            label = f"τ {figure(slope, 3)}" if style == "-" else None
            ax.axline((0.0, 0.0), slope=slope, color=ink("train"), linestyle=style, label=label)
    ax.legend(frameon=False, fontsize="small", loc="upper left")
    ax.tick_params(labelsize="small")
    ax.set_title(literal(picture.name, 40), fontsize="small")
    ax.set_xlabel("a unit of τ adds (of v)", fontsize="small")
    ax.set_ylabel("stored in excess (of v)", fontsize="small")
    return ax
