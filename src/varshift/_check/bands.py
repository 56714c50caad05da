"""Bands of a severity: of the median, and of channels that shift both ways, which it cannot see."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from varshift.theory.spread import median

__all__ = ["band_of", "least_of", "variance_bounds", "widened", "worse"]

_LEAST = 1e-6  # Δ below which a severity is a million, and no more is said


def worse(ratio: float) -> float:
    """max(r, 1/r): infinite for 0, NaN for NaN.

    >>> worse(0.5), worse(3.0)
    (2.0, 3.0)
    """
    return math.inf if ratio <= 0 else max(ratio, 1 / ratio)


def band_of(low: float, high: float, floor: float = _LEAST) -> tuple[float, float]:
    """Bounds of the severity from those of Δ; 1 is the least where Δ may be 1.

    >>> band_of(0.4, 0.5), band_of(0.5, 3.0)
    ((2.0, 2.5), (1.0, 3.0))
    """
    low, high = max(low, floor), max(high, floor)
    ends = sorted((worse(low), worse(high)))
    return (1.0, ends[1]) if low <= 1 <= high else (ends[0], ends[1])


def least_of(delta: Tensor, error: Tensor) -> float:
    """Median over channels of the least severity that each channel's Δ ∓ `error` allows.

    Where half of the channels grow and half shrink, the median of Δ is near 1 and says nothing,
    each channel's own band does. Scatter of the sampling alone gives 1: most bands hold 1 then.

    >>> one, sure = torch.ones(4), torch.zeros(4)
    >>> least_of(torch.tensor([0.5, 0.5, 2.0, 2.0]), sure), least_of(one + 0.01, 0.02 * one)
    (2.0, 1.0)
    """
    error = error.nan_to_num(math.inf)
    low, high = delta - error, delta + error
    least = torch.where(low > 1, low, torch.where(high < 1, 1 / high.clamp(min=_LEAST), 1.0))
    found = median(least.where(~delta.isnan(), math.nan))
    return found if math.isfinite(found) else 1.0


def variance_bounds(values: int) -> tuple[float, float]:
    """Where the variance of so many normal values ÷ the true one lies in 95 of 100 draws.

    χ² with one degree of freedom less, over that number, by bisection of its distribution.

    >>> [round(bound, 3) for bound in variance_bounds(4)]
    [0.072, 3.116]
    """
    free = max(1, values - 1)
    return _chi_square(0.025, free) / free, _chi_square(0.975, free) / free


def _chi_square(chance: float, free: int) -> float:
    low, high = 0.0, 100.0 + 10.0 * free
    half = torch.tensor(free / 2, dtype=torch.float64, device="cpu")
    for _ in range(60):
        middle = (low + high) / 2
        below = torch.special.gammainc(half, half.new_tensor(middle / 2))
        low, high = (middle, high) if float(below) < chance else (low, middle)
    return (low + high) / 2


def widened(band: tuple[float, float], severity: float, least: float) -> tuple[float, float]:
    """The band with the severity in it, and what the channels say by themselves."""
    low, high = band
    return max(low, least), max(high, severity)
