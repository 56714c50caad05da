"""The standard error of any statistic, from its values with one group of samples left out."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["jackknife_error"]


def jackknife_error(without_each: Tensor) -> Tensor:
    """Standard error from the values of a statistic with one of G groups left out, along dim 0."""
    size = len(without_each)
    if size < 2:
        return torch.full_like(without_each[0], torch.nan)
    deviation = without_each - without_each.mean(0)
    return ((size - 1) / size * deviation.square().sum(0)).sqrt()
