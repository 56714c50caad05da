"""The standard error of any statistic, from its values with one group of samples left out."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["jackknife_error"]


def jackknife_error(without_each: Tensor) -> Tensor:
    """Standard error from the values of a statistic with one of G groups left out, along dim 0.

    se² = (G − 1)/G · Σ(F₍g₎ − F̄)², with F₍g₎ the value without group g; `(G, …)` -> `(…)`. NaN for
    a single group. [efron1981jackknife]

    >>> left_out = torch.tensor([2.5, 2.0, 1.5], dtype=torch.float64)  # means of two of 1, 2, 3
    >>> round(jackknife_error(left_out).item() ** 2, 12)  # 1/3: unbiased variance 1, of 3 values
    0.333333333333
    """
    size = len(without_each)
    if size < 2:
        return torch.full_like(without_each[0], torch.nan)
    deviation = without_each - without_each.mean(0)
    return ((size - 1) / size * deviation.square().sum(0)).sqrt()
