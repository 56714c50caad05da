"""The null beside trained filters: the angle of a random vector to the all-ones vector.

A vector of random direction in d dimensions makes an angle θ with any fixed one, of density
∝ sin^{d−2}θ; cos²θ ~ Beta(1/2, (d−1)/2). So cos²θ → 0 as d grows, near-orthogonality, and at the
same time E[d·cos²θ] = 1 at every d. The note this project starts from cites the orthogonality in
support of a d·cos²θ that grows linearly with d: it says the opposite. Growth is a property of
trained filters, not of geometry. `d` is a whole number, 2 or more.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import torch
from torch import Tensor

from varshift.errors import UsageError
from varshift.theory import _check
from varshift.theory._incomplete_beta import half_incomplete_beta, log_gamma_half_step

__all__ = [
    "angle_pdf",
    "cos2",
    "cos2_cdf",
    "cos2_pdf",
    "cos2_quantile",
    "d_cos2",
    "d_cos2_mean",
    "d_cos2_var",
    "null_band",
    "null_band_of_mean",
]


def cos2(weight: Tensor) -> Tensor:
    """cos²θ = (Σw)²/(d Σw²) of each filter to the all-ones vector, `(out, …)` -> `(out,)` float64.

    A k×k filter counts as one vector of d·k·k entries. NaN for an all-zero filter, which has no
    direction. The filters of a transposed convolution lie along dimension 1: pass
    `weight.transpose(0, 1)` if groups is 1.

    Raises:
        UsageError: a weight that is empty or has fewer than two dimensions.

    >>> cos2(torch.tensor([[1.0, 1.0], [1.0, -1.0], [3.0, 0.0]])).tolist()
    [1.0, 0.0, 0.5]
    """
    return d_cos2(weight) / weight[0].numel()


def d_cos2(weight: Tensor) -> Tensor:
    """d·cos²θ = (Σw)²/Σw² of each filter: Table 1 of the paper is its mean over a net.

    `weight` is `(out, …)`; the result is `(out,)`, float64. NaN for an all-zero filter.
    [li2019disharmony]

    Raises:
        UsageError: a weight that is empty or has fewer than two dimensions.

    >>> d_cos2(torch.tensor([[1.0, 1.0], [1.0, -1.0], [3.0, 0.0]])).tolist()
    [2.0, 0.0, 1.0]
    """
    if weight.dim() < 2 or weight.numel() == 0:
        raise UsageError(f"weight has shape {tuple(weight.shape)}; pass filters, (out, …)")
    filters = weight.detach().flatten(1).to(torch.float64)
    # Scaled to a largest entry of 1: squares of weights near 1e-200 would vanish.
    filters = filters / filters.abs().amax(1, keepdim=True)
    return filters.sum(1).square() / filters.square().sum(1)


def angle_pdf(theta: Tensor, d: int) -> Tensor:
    """Density of θ on [0, π]: Γ(d/2)/(√π Γ((d−1)/2)) · sin^{d−2}θ. Float64, the shape of `theta`.

    Raises:
        UsageError: a d that is no whole number of 2 or more, or angles outside [0, π].

    >>> round(angle_pdf(torch.tensor([1.0]), d=2).item(), 6)  # 1/π
    0.31831
    """
    _check.width(d)
    _check_range("theta", theta, math.pi)
    sine = theta.to(torch.float64).sin().clamp(min=0)
    return torch.exp(torch.xlogy(float(d - 2), sine) + _log_front(d))


def cos2_pdf(value: Tensor, d: int) -> Tensor:
    """Density of cos²θ on [0, 1], Beta(1/2, (d−1)/2); infinite at 0. Float64.

    Raises:
        UsageError: a d that is no whole number of 2 or more, or values outside [0, 1].

    >>> round(cos2_pdf(torch.tensor([0.25]), d=3).item(), 6)
    1.0
    """
    _check.width(d)
    _check_range("value", value, 1)
    x = value.to(torch.float64).clamp(max=1)
    other = torch.special.xlog1py((d - 3) / 2, -x)
    return torch.exp(_log_front(d) + other) / x.sqrt()


def cos2_cdf(value: Tensor, d: int) -> Tensor:
    """P(cos²θ ≤ value) = I_value(1/2, (d−1)/2). Float64, the shape of `value`.

    The regularised incomplete beta function by its continued fraction. [dlmf, 8.17.22]

    Raises:
        UsageError: a d that is no whole number of 2 or more, or values outside [0, 1].

    >>> cos2_cdf(torch.tensor([0.25]), d=3).item()
    0.5
    """
    _check.width(d)
    _check_range("value", value, 1)
    flat = [half_incomplete_beta(x, (d - 1) / 2) for x in value.flatten().tolist()]
    return torch.tensor(flat, dtype=torch.float64, device=value.device).reshape(value.shape)


def cos2_quantile(probability: float, d: int) -> float:
    """The value that cos²θ stays below with this probability: the inverse of `cos2_cdf`.

    Raises:
        UsageError: a d that is no whole number of 2 or more, or a probability outside [0, 1].

    >>> round(cos2_quantile(0.5, d=3), 12)
    0.25
    """
    _check.width(d)
    _check.between("probability", probability, 0, 1)
    if probability == 1:
        return 1.0
    # Bisect |cos θ|: near 0 the cdf is linear in it, so small quantiles keep their digits.
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        if half_incomplete_beta(middle * middle, (d - 1) / 2) < probability:
            low = middle
        else:
            high = middle
    return high * high


def d_cos2_mean(d: int) -> float:
    """E[d·cos²θ] = 1 for every d: cos²θ of d orthogonal axes sums to 1, and none is special.

    Raises:
        UsageError: a d that is no whole number of 2 or more.

    >>> d_cos2_mean(4608)
    1.0
    """
    _check.width(d)
    return 1.0


def d_cos2_var(d: int) -> float:
    """Var[d·cos²θ] = 2(d − 1)/(d + 2), that of Beta(1/2, (d−1)/2) times d²; towards 2 as d grows.

    Raises:
        UsageError: a d that is no whole number of 2 or more.

    >>> d_cos2_var(2)
    0.5
    """
    _check.width(d)
    return 2 * (d - 1) / (d + 2)


def null_band(d: int, level: float = 0.95) -> tuple[float, float]:
    """The central interval that holds d·cos²θ of one random filter with probability `level`.

    By the quantiles of cos²θ ~ Beta(1/2, (d−1)/2) [dlmf, 8.17], as much left out below as above.

    Raises:
        UsageError: a d that is no whole number of 2 or more, or a level outside (0, 1).

    >>> low, high = null_band(4608)
    >>> round(low, 4), round(high, 3)
    (0.001, 5.023)
    """
    _check_level(level)
    tail = (1 - level) / 2
    return d * cos2_quantile(tail, d), d * cos2_quantile(1 - tail, d)


def null_band_of_mean(d: int, filters: int, level: float = 0.95) -> tuple[float, float]:
    """The central interval for the mean of d·cos²θ over many independent random filters.

    By the normal limit, 1 ± z·√(Var/filters): good from some 30 filters on.

    Raises:
        UsageError: a d below 2 or filters below 1, or not whole; a level outside (0, 1).

    >>> low, high = null_band_of_mean(4608, filters=512)
    >>> round(low, 3), round(high, 3)
    (0.878, 1.122)
    """
    _check_level(level)
    if int(filters) != filters or filters < 1:
        raise UsageError(f"filters is {filters}; pass a whole number, 1 or more")
    half = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt(d_cos2_var(d) / filters)
    return d_cos2_mean(d) - half, d_cos2_mean(d) + half


def _log_front(d: int) -> float:
    """The logarithm of Γ(d/2)/(√π Γ((d−1)/2)) = 1/B(1/2, (d−1)/2)."""
    return log_gamma_half_step((d - 1) / 2) - 0.5 * math.log(math.pi)


def _check_range(name: str, value: Tensor, high: float) -> None:
    # float32 π lies above float64 π; NaN (a filter without direction) passes through.
    if bool(((value < 0) | (value > high * (1 + 1e-6))).any()):
        raise UsageError(f"{name} has entries outside [0, {high:g}]")


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise UsageError(f"level is {level}; pass a probability inside (0, 1)")
