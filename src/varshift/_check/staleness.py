"""How far stored variances are from what arrives: the size of every finding on statistics."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from varshift._check.bands import band_of, least_of, widened
from varshift._check.passes import Met
from varshift._engine import Tally
from varshift.theory.jackknife import jackknife_error

__all__ = ["Stale", "against", "left_over", "started_elsewhere", "unfit"]

_LEAST = 1e-4  # weight of the initial 1 that is not worth a look
_FLOOR = 1e-9  # of a ratio in a band: stored variances can be off by more than noise makes them
_ROUNDING = 1e-5  # of an average kept in float32, relative
_BELOW = 1e-3  # relative: below the initial 1's share by more than any rounding


@dataclass(frozen=True)
class Stale:
    """Variance that arrives ÷ stored variance: the median over channels, with its band."""

    shift: float
    severity: float
    low: float | None
    high: float | None


def against(tally: Tally, stored: Tensor) -> Stale | None:
    """What arrived over what is stored; None where nothing did."""
    if tally.count < 2:
        return None
    live = tally.total().var() > 0
    ratio = torch.where(live, tally.within() / stored, math.nan)
    severity = _median(torch.maximum(ratio, 1 / ratio))
    if not math.isfinite(severity):
        return None
    shift = _median(ratio)
    without = torch.where(live, tally.groups().var_without_each() / stored, math.nan)
    medians = torch.tensor([_median(row) for row in without], dtype=torch.float64)
    error = 2 * float(jackknife_error(medians)) if len(medians) > 1 else math.nan
    band = _bounds(shift, error)
    if band is None:
        return Stale(shift, severity, None, None)
    least = least_of(ratio, 2 * jackknife_error(without))
    return Stale(shift, severity, *widened(band, severity, least))


def unfit(met: Met) -> Stale | None:
    """Against training and against evaluation, the better of the two.

    Statistics that were recalibrated with the noise off fit evaluation, and are meant to.
    """
    both = [against(tally, met.stored.var) for tally in (met.train, met.test)]
    found = [stale for stale in both if stale is not None]
    return min(found, key=lambda stale: stale.low or stale.severity, default=None)


def left_over(stored: Tensor, momentum: float, steps: int) -> Stale | None:
    """What the initial variance of 1 still weighs: V = (S − w)/(1 − w), w = (1 − momentum)^steps.

    Exact for the average of the variances met. None where w is negligible, or where most stored
    variances lie below w, so that the average cannot have started at 1. Channels at w itself, which
    met no variance but for the rounding of the average, are dead and do not count.
    """
    weight = (1 - momentum) ** steps
    if weight < _LEAST or weight >= 1 or started_elsewhere(stored, weight):
        return None
    met = (stored - weight) / (1 - weight)
    ratio = torch.where(stored > weight * (1 + _ROUNDING), met / stored, math.nan)
    severity = _median(torch.maximum(ratio, 1 / ratio))
    return Stale(_median(ratio), severity, None, None) if math.isfinite(severity) else None


def started_elsewhere(stored: Tensor, weight: float) -> bool:
    """Whether most stored variances are smaller than what would be left of an initial 1."""
    return float((stored < weight * (1 - _BELOW)).double().mean()) > 0.5


def _bounds(shift: float, error: float) -> tuple[float, float] | None:
    if not math.isfinite(error):
        return None
    return band_of(shift - error, shift + error, _FLOOR)


def _median(values: Tensor) -> float:
    return float(torch.nanquantile(values.double(), 0.5))
