"""Mean-one noise as functions; out of training they return their input itself."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from varshift.errors import UsageError

__all__ = ["gaussian_dropout", "uout"]


def uout(x: Tensor, beta: float = 0.1, training: bool = True, inplace: bool = False) -> Tensor:
    """x·(1 + r), r ~ U(−β, β) drawn for each value, 0 ≤ β ≤ 1; τ = β²/3. [li2019disharmony]

    At c = 0 the variance ratio is 3/(3 + β²): 300/301 for β = 0.1 (a note that ascribes this figure
    to β = 0.01 has a slip). At equal τ dropout shifts exactly as much: β = 0.1 is as little noise
    as drop_p = 0.0033.

    >>> uout(torch.ones(3), beta=0.5, training=False).tolist()
    [1.0, 1.0, 1.0]
    """
    _check(beta, 1.0, "beta")
    if not training or beta == 0:
        return x
    factor = torch.empty_like(x).uniform_(1 - beta, 1 + beta)
    return x.mul_(factor) if inplace else x * factor


def gaussian_dropout(
    x: Tensor, sigma: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """x·ξ, ξ ~ N(1, σ²) drawn for each value; τ = σ². [srivastava2014dropout, sec. 10]

    >>> gaussian_dropout(torch.ones(2), sigma=0.0).tolist()
    [1.0, 1.0]
    """
    _check(sigma, math.inf, "sigma")
    if not training or sigma == 0:
        return x
    factor = torch.empty_like(x).normal_(1.0, sigma)
    return x.mul_(factor) if inplace else x * factor


def _check(value: float, top: float, name: str) -> None:
    if not 0 <= value <= top:
        limit = f"between 0 and {top:g}" if math.isfinite(top) else "0 or more"
        raise UsageError(f"{name} is {value}; pass a number {limit}")
