"""What the laws refuse: numbers that mean nothing, said in one place."""

from __future__ import annotations

import math

from torch import Tensor

from varshift.errors import UsageError

_WIDEST = 1e300  # whose quantiles of cos²θ, near 1/d, are floats too


def nonnegative(name: str, value: float) -> None:
    """Refuse what is negative, infinite or NaN."""
    if not (math.isfinite(value) and value >= 0):
        raise UsageError(f"{name} is {value}; pass a finite number, 0 or more")


def fraction(name: str, value: float) -> None:
    """Refuse what is outside [0, 1)."""
    if not 0 <= value < 1:
        raise UsageError(f"{name} is {value}; pass a probability in [0, 1)")


def between(name: str, value: float, low: float, high: float) -> None:
    """Refuse what is outside [low, high]."""
    if not low <= value <= high:
        raise UsageError(f"{name} is {value}; pass a number from {low:g} to {high:g}")


def bound(value: float) -> None:
    """Refuse a bound on Δ outside (0, 1)."""
    if not 0 < value < 1:
        raise UsageError(f"bound is {value}; pass the smallest Δ allowed, inside (0, 1)")


def width(d: int) -> None:
    """Refuse what is not a number of dimensions with an angle in it."""
    if not 2 <= d <= _WIDEST or int(d) != d:
        shown = "too large" if d > _WIDEST else d
        raise UsageError(
            f"d is {shown}; pass a whole number, 2 or more (at d = 1 cos²θ is always 1)"
        )


def variance(name: str, value: Tensor) -> None:
    """Refuse negative entries. NaN stands for "not measured" and passes through every law."""
    if bool((value < 0).any()):
        raise UsageError(f"{name} has {int((value < 0).sum())} negative entries; pass variances")


def same_shape(**tensors: Tensor) -> None:
    """Refuse tensors of different shapes: broadcasting would pair the wrong channels."""
    if len({tensor.shape for tensor in tensors.values()}) > 1:
        shapes = ", ".join(f"{name} {tuple(t.shape)}" for name, t in tensors.items())
        raise UsageError(f"shapes differ: {shapes}; pass one entry per channel in each")
