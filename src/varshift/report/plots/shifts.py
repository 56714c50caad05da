"""The variance in training against that at test, measured and expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from varshift.measure import Measurement
from varshift.predict import Prediction
from varshift.report.plots.axes import COLOURS, draw, named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__: list[str] = []


@draw.register(Measurement)
def _measurement(result: Measurement, ax: Axes) -> Axes:
    """Stored, training and test variance by depth, medians over live channels."""
    sites = list(result.sites.values())
    places = range(len(sites))
    on = [_median(site.train.var[site.live]) for site in sites]
    off = [_median(site.test.var[site.live]) for site in sites]
    stored = [_median(site.stored.var[site.live]) for site in sites]
    ax.plot(places, stored, "--", color=COLOURS["stored"], label="stored")
    return _pair(ax, list(result.sites), on, off)


@draw.register(Prediction)
def _prediction(result: Prediction, ax: Axes) -> Axes:
    """The same as theory expects it, weights held fixed."""
    sites = result.sites.values()
    on = [_median(site.var_train) for site in sites]
    off = [_median(site.var_test) for site in sites]
    return _pair(ax, list(result.sites), on, off)


def _pair(ax: Axes, names: list[str], on: list[float], off: list[float]) -> Axes:
    from matplotlib.ticker import LogFormatter

    places = range(len(names))
    ax.vlines(places, off, on, color=COLOURS["stored"], linewidth=0.8, linestyle=":")
    ax.plot(places, on, "o-", color=COLOURS["train"], markersize=4, label="training (noise on)")
    ax.plot(places, off, "s-", color=COLOURS["test"], markersize=4, label="test (noise off)")
    ax.set_yscale("log")
    # Variances of one network span a decade or two: "2" reads better there than "2 × 10⁰".
    ax.yaxis.set_major_formatter(LogFormatter())
    ax.yaxis.set_minor_formatter(LogFormatter())
    ax.set_ylabel("variance of the norm's input")
    ax.legend(frameon=False, fontsize="small")
    named(ax, names)
    return ax


def _median(values: Tensor) -> float:
    return float(torch.nanquantile(values.double(), 0.5)) if len(values) else float("nan")
