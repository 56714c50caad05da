"""The variance in training against that at test, measured and expected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from varshift._draw.plots.axes import COLOURS, draw, height, named, refuse_nothing, width
from varshift.results import Measurement, Prediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__: list[str] = []

_LEGEND, _LINE = 330.0, 13.0  # points: width of a legend in one row, height of a row
_UNKNOWN = (math.nan, math.nan)
_LABELS = 0.7  # of the height of axes stays beside the names, where a layout gives them room


@draw.register(Measurement)
def _measurement(result: Measurement, ax: Axes) -> Axes:
    """Stored, training and test variance by depth, medians over live channels."""
    refuse_nothing(result.sites, result.skipped)
    sites = list(result.sites.values())
    on = [_median(site.train.var[site.live]) for site in sites]
    off = [_median(site.test.var[site.live]) for site in sites]
    stored = [_median(site.stored.var[site.live]) for site in sites]
    # With marks, since one norm makes no line; and wide ones, to be seen behind the others.
    size = _mark(ax, len(sites))
    ax.plot(
        *(stored, "D--"),
        color=COLOURS["stored"],
        fillstyle="none",
        markersize=1.8 * size,
        label="stored",
    )
    ends = [
        (value * low / site.shift, value * high / site.shift) if site.shift else _UNKNOWN
        for value, site in zip(off, sites, strict=True)
        for low, high in [site.shift_interval]
    ]
    return _pair(ax, list(result.sites), on, off, ends, "95 % interval of Δ")


@draw.register(Prediction)
def _prediction(result: Prediction, ax: Axes) -> Axes:
    """The same as theory expects it, weights held fixed."""
    refuse_nothing(result.sites, result.skipped)
    sites = result.sites.values()
    on = [_median(site.var_train) for site in sites]
    off = [_median(site.var_test) for site in sites]
    ends = [
        (value * site.low / site.shift, value * site.high / site.shift) if site.shift else _UNKNOWN
        for value, site in zip(off, sites, strict=True)
    ]
    return _pair(ax, list(result.sites), on, off, ends, "band of Δ")


def _pair(
    ax: Axes,
    names: list[str],
    on: list[float],
    off: list[float],
    ends: Sequence[tuple[float, float]],
    said: str,
) -> Axes:
    """Both variances; at that of test how far Δ may be off, for the same variance in training."""
    from varshift._draw.plots.ticks import Magnitudes, Plain

    places, size = range(len(names)), _mark(ax, len(names))
    ax.vlines(places, off, on, color=COLOURS["stored"], linewidth=0.8, linestyle=":")
    known = [(place, *pair) for place, pair in enumerate(ends) if _drawable(pair)]
    if known:
        at, low, high = zip(*known, strict=True)
        blue = COLOURS["test"]
        ax.vlines(at, low, high, color=blue, alpha=0.3, linewidth=1.2 * size, label=said)
    ax.plot(on, "o-", color=COLOURS["train"], markersize=size, label="training (noise on)")
    ax.plot(off, "s-", color=COLOURS["test"], markersize=size, label="test (noise off)")
    ax.set_yscale("log")
    # Variances of one network span a decade or two: "2" reads better there than "2 × 10⁰".
    ax.yaxis.set_major_locator(Magnitudes())
    ax.yaxis.set_major_formatter(Plain())
    ax.yaxis.set_minor_formatter(Plain(minor=True))
    ax.tick_params(axis="y", which="both", labelsize="small")
    ax.set_ylabel("variance\n(channel median)", fontsize="small")
    ax.margins(x=0.02 if len(names) > 1 else 0.5)
    named(ax, names)
    _legend(ax)
    return ax


def _legend(ax: Axes) -> None:
    """Inside the axes, where it is in nobody's way in a grid, with room made above the curves."""
    entries = len(ax.get_legend_handles_labels()[1])
    wide = width(ax) >= _LEGEND
    columns = entries if wide else 2 if width(ax) >= _LEGEND / 2 else 1
    taken = _LINE * math.ceil(entries / columns) + 8
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


def _drawable(pair: tuple[float, float]) -> bool:
    return all(math.isfinite(end) and end > 0 for end in pair)


def _mark(ax: Axes, count: int) -> float:
    """Size of a mark in points: 4, or what many of them leave to each other."""
    return min(4.0, max(1.5, 0.6 * width(ax) / max(count, 1)))


def _median(values: Tensor) -> float:
    return float(torch.nanquantile(values.double(), 0.5)) if len(values) else float("nan")
