"""The model's outputs with noise on and off."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from varshift.explain.blame import noisy_spread
from varshift.explain.contrast import Effect
from varshift.explain.lanes import Spread
from varshift.explain.passes import BlamePasses
from varshift.explain.results import Figure, Output
from varshift.measure.tally import jackknife_error

__all__ = ["output_of"]


def output_of(name: str, passes: BlamePasses) -> Output:
    """One output with noise on and off."""
    noisy, clean = noisy_spread(passes, name), passes.clean.spread(name)
    shift = noisy.mean - clean.mean
    unit = noisy.var[0].clamp(min=1e-300).sqrt()
    live = noisy.var[0] > 0
    error = jackknife_error(shift[1:]) if len(shift) > 1 else torch.zeros_like(shift[0])
    moved = Effect(shift, noisy.var - clean.var, 0)
    return Output(
        name=name,
        mean_shift=_rms(moved.mean / unit, error / unit, live),
        var_ratio=_ratio(clean, noisy, live),
        mean_on=noisy.mean[0],
        mean_off=clean.mean[0],
        var_on=noisy.var[0],
        var_off=clean.var[0],
        mean_se=error,
    )


def _rms(rows: Tensor, error: Tensor, live: Tensor) -> Figure:
    if not bool(live.any()):
        return Figure(0.0, 0.0)
    roots = (rows[:, live].square().mean(1) - error[live].square().mean()).clamp(min=0).sqrt()
    return Figure(float(roots[0]), float(jackknife_error(roots[1:])) if len(roots) > 1 else 0.0)


def _ratio(clean: Spread, noisy: Spread, live: Tensor) -> Figure:
    both = live & (clean.var[0] > 0)
    if not bool(both.any()):
        return Figure(math.nan, math.nan)
    rows = (clean.var.log() - noisy.var.log())[:, both].mean(1).exp()
    return Figure(float(rows[0]), float(jackknife_error(rows[1:])) if len(rows) > 1 else 0.0)
