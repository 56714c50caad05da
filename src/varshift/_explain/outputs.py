"""The model's outputs with noise on and off."""

from __future__ import annotations

import math

from torch import Tensor

from varshift._explain.figures import error_of, figure_of, root_mean_square
from varshift._explain.spread import Spread
from varshift.results import Figure, Output

__all__ = ["output_of"]


def output_of(name: str, noisy: Spread, clean: Spread) -> Output:
    """One output with noise on and off."""
    shift = noisy.mean - clean.mean
    unit = noisy.var[0].clamp(min=1e-300).sqrt()
    live = noisy.var[0] > 0
    error = error_of(shift)
    return Output(
        name=name,
        mean_shift=root_mean_square(shift / unit, (error / unit).square(), live),
        var_ratio=_ratio(clean, noisy, live),
        mean_on=noisy.mean[0],
        mean_off=clean.mean[0],
        var_on=noisy.var[0],
        var_off=clean.var[0],
        mean_se=error,
    )


def _ratio(clean: Spread, noisy: Spread, live: Tensor) -> Figure:
    both = live & (clean.var[0] > 0)
    if not bool(both.any()):
        return Figure(math.nan, math.nan)
    return figure_of((clean.var.log() - noisy.var.log())[:, both].mean(1).exp())
