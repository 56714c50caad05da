"""How channels scatter: their median, and the quantiles that a box is drawn from."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["QUANTILES", "median", "middle", "quantiles"]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def median(values: Tensor, live: Tensor | None = None) -> float:
    """Median of what is known, of live channels alone where these are given; else NaN.

    >>> median(torch.tensor([1.0, float("nan"), 3.0]))
    2.0
    """
    kept = values.double() if live is None else values.double()[live]
    return float(torch.nanquantile(kept, 0.5)) if kept.numel() else math.nan


def quantiles(values: Tensor) -> tuple[float, ...]:
    """At `QUANTILES`, of what is finite and above 0; NaN where nothing is.

    >>> quantiles(torch.arange(1.0, 102.0))
    (6.0, 26.0, 51.0, 76.0, 96.0)
    """
    kept = values.double().flatten()
    kept = kept[kept.isfinite() & (kept > 0)]
    if not len(kept):
        return (math.nan,) * len(QUANTILES)
    at = torch.tensor(QUANTILES, dtype=torch.float64)
    return tuple(float(value) for value in torch.quantile(kept, at))


def middle(values: Tensor) -> int | None:
    """Where the median of what is known stands, the lower of two; None where nothing is known.

    >>> middle(torch.tensor([3.0, float("nan"), 1.0, 2.0]))
    3
    """
    known = torch.nonzero(values.isfinite()).flatten()
    if not len(known):
        return None
    order = values[known].argsort()
    return int(known[order[(len(known) - 1) // 2]])
