"""How channels scatter: their median, and the quantiles that a box is drawn from."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["QUANTILES", "median", "medians", "middle", "quantiles"]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def median(values: Tensor, live: Tensor | None = None) -> float:
    """Median of what is known, of live channels alone where these are given; else NaN.

    Infinite where more than half is, such as ratios to channels that training keeps constant.

    >>> median(torch.tensor([1.0, float("nan"), 3.0]))
    2.0
    >>> median(torch.tensor([1.0, float("inf"), float("inf")]))
    inf
    """
    kept = values.double() if live is None else values.double()[live]
    return float(medians(kept.flatten()))


def medians(values: Tensor) -> Tensor:
    """`median` over the last dimension, `(…, C)` -> `(…)`, in the type of the values.

    >>> medians(torch.tensor([[1.0, 2.0, 4.0], [float("inf"), 3.0, float("inf")]]))
    tensor([2., inf])
    """
    if not values.shape[-1]:
        return values.new_full(values.shape[:-1], math.nan)
    ordered = values.sort(-1).values  # NaN last
    known = (~values.isnan()).sum(-1, keepdim=True)
    low = ordered.gather(-1, (known - 1).clamp(min=0) // 2)
    high = ordered.gather(-1, known // 2)
    # An infinite one less another would be NaN.
    return torch.where(high.isfinite(), high - (high - low) / 2, high).squeeze(-1)


def quantiles(values: Tensor) -> tuple[float, ...]:
    """At `QUANTILES`, of what is finite and above 0; NaN where nothing is.

    >>> quantiles(torch.arange(1.0, 102.0))
    (6.0, 26.0, 51.0, 76.0, 96.0)
    """
    kept = values.double().flatten()
    kept = kept[kept.isfinite() & (kept > 0)]
    if not len(kept):
        return (math.nan,) * len(QUANTILES)
    at = torch.tensor(QUANTILES, dtype=torch.float64, device=kept.device)
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
