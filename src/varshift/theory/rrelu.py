"""RReLU: in training the slope of each negative value is drawn from U(lower, upper).

    train  y = x⁺ + r·x⁻, r ~ U(lower, upper);    test  y = x⁺ + s·x⁻, s = (lower + upper)/2

with x⁺ = max(x, 0) and x⁻ = min(x, 0). The mean does not move; the variance does, by
Var[r]·E[(x⁻)²]: noise on the negative part alone. [xu2015rrelu]
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from varshift.errors import UsageError
from varshift.theory import _check
from varshift.theory.moments import Moments
from varshift.theory.quadrature import gaussian_moments

__all__ = [
    "HalfMoments",
    "rrelu_mean",
    "rrelu_ratio",
    "rrelu_slope_var",
    "rrelu_test_var",
    "rrelu_train_var",
]


@dataclass(frozen=True, eq=False)
class HalfMoments:
    """Means and population variances of x⁺ = max(x, 0) and x⁻ = min(x, 0), `(channels,)` each.

    Attributes:
        positive_mean: E[x⁺].
        positive_var: Var[x⁺].
        negative_mean: E[x⁻].
        negative_var: Var[x⁻].

    Raises:
        UsageError: unless x⁺ ≥ 0 ≥ x⁻ in the mean and the shapes agree.

    >>> import torch
    >>> halves = HalfMoments.of(torch.tensor([[3.0], [-1.0]]))
    >>> halves.positive_mean.item(), halves.negative_mean.item()
    (1.5, -0.5)
    """

    positive_mean: Tensor
    positive_var: Tensor
    negative_mean: Tensor
    negative_var: Tensor

    def __post_init__(self) -> None:
        _check.same_shape(**vars(self))
        _check.variance("positive_var", self.positive_var)
        _check.variance("negative_var", self.negative_var)
        if bool((self.positive_mean < 0).any() or (self.negative_mean > 0).any()):
            raise UsageError(
                "positive_mean has negative or negative_mean positive entries; pass the means of "
                "max(x, 0) and min(x, 0), or build from data with HalfMoments.of(x)"
            )

    @classmethod
    def of(cls, x: Tensor, channel_dim: int = 1) -> HalfMoments:
        """From data, in float64, over every dimension but `channel_dim`."""
        positive = Moments.of(x.clamp(min=0), channel_dim)
        negative = Moments.of(x.clamp(max=0), channel_dim)
        return cls(
            positive.mean,
            positive.var(unbiased=False),
            negative.mean,
            negative.var(unbiased=False),
        )

    @classmethod
    def gaussian(cls, mean: Tensor, var: Tensor) -> HalfMoments:
        """For x ~ N(mean, var), by quadrature. The means are σφ(z) ± cΦ(±z) at z = c/σ.

        >>> import torch
        >>> halves = HalfMoments.gaussian(torch.zeros(1), torch.ones(1))
        >>> round(halves.positive_mean.item(), 6), round(halves.negative_mean.item(), 6)
        (0.398942, -0.398942)
        """
        positive_mean, positive_var = gaussian_moments(lambda x: x.clamp(min=0), mean, var)
        negative_mean, negative_var = gaussian_moments(lambda x: x.clamp(max=0), mean, var)
        return cls(positive_mean, positive_var, negative_mean, negative_var)


def rrelu_slope_var(lower: float = 1 / 8, upper: float = 1 / 3) -> float:
    """Var[r] = (upper − lower)²/12; it plays the part of τ, with x⁻ as the noised value.

    After weights, placement (b): var_train = var_test + Var[r]·N with N the element energy at x⁻,
    as in `conv_noise_energy(x.clamp(max=0), weight)`.

    Raises:
        UsageError: slopes that are not finite, or lower above upper.

    >>> rrelu_slope_var(0.0, 1.0) == 1 / 12
    True
    """
    if not (math.isfinite(lower) and math.isfinite(upper) and lower <= upper):
        raise UsageError(f"lower is {lower} and upper {upper}; pass finite lower <= upper")
    return (upper - lower) ** 2 / 12


def rrelu_mean(halves: HalfMoments, lower: float = 1 / 8, upper: float = 1 / 3) -> Tensor:
    """E[y] = E[x⁺] + s·E[x⁻], in training and at test alike; `(channels,)`.

    Raises:
        UsageError: slopes that are not finite, or lower above upper.

    >>> import torch
    >>> rrelu_mean(HalfMoments.of(torch.tensor([[3.0], [-1.0]])), 0.0, 1.0).item()
    1.25
    """
    return halves.positive_mean + _slope(lower, upper) * halves.negative_mean


def rrelu_test_var(halves: HalfMoments, lower: float = 1 / 8, upper: float = 1 / 3) -> Tensor:
    """var_test = Var[x⁺] + s²Var[x⁻] − 2s·E[x⁺]E[x⁻].

    `(channels,)`. Exact for any input law: x⁺x⁻ = 0, so their covariance is minus the product of
    the means.

    Raises:
        UsageError: slopes that are not finite, or lower above upper.

    >>> import torch
    >>> rrelu_test_var(HalfMoments.of(torch.tensor([[3.0], [-1.0]])), 0.0, 1.0).item()
    3.0625
    """
    slope = _slope(lower, upper)
    covariance = -halves.positive_mean * halves.negative_mean
    return halves.positive_var + slope**2 * halves.negative_var + 2 * slope * covariance


def rrelu_train_var(halves: HalfMoments, lower: float = 1 / 8, upper: float = 1 / 3) -> Tensor:
    """var_train = var_test + Var[r]·E[(x⁻)²].

    `(channels,)`, placement (a); exact for any input law. [xu2015rrelu]

    Raises:
        UsageError: slopes that are not finite, or lower above upper.

    >>> import torch
    >>> halves = HalfMoments.of(torch.tensor([[3.0], [-1.0]]))
    >>> abs(rrelu_train_var(halves, 0.0, 1.0).item() - (3.0625 + 1 / 24)) < 1e-15
    True
    """
    negative_second = halves.negative_var + halves.negative_mean.square()
    return rrelu_test_var(halves, lower, upper) + rrelu_slope_var(lower, upper) * negative_second


def rrelu_ratio(halves: HalfMoments, lower: float = 1 / 8, upper: float = 1 / 3) -> Tensor:
    """Δ = var_test/var_train, placement (a), `(channels,)`. Never above 1.

    Raises:
        UsageError: slopes that are not finite, or lower above upper.

    >>> import torch
    >>> halves = HalfMoments.gaussian(torch.zeros(1), torch.ones(1))
    >>> round(rrelu_ratio(halves).item(), 4)
    0.9958
    """
    return rrelu_test_var(halves, lower, upper) / rrelu_train_var(halves, lower, upper)


def _slope(lower: float, upper: float) -> float:
    rrelu_slope_var(lower, upper)
    return (lower + upper) / 2
