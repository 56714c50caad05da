"""Two treatments of the same examples: the mean difference, its interval and its test."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from varshift.errors import UsageError
from varshift.theory._incomplete_beta import half_incomplete_beta

__all__ = ["Paired", "paired", "student_quantile", "student_tail"]


_ROUNDING = 1e-12  # relative: equal differences come out of float64 with less spread than this


@dataclass(frozen=True)
class Paired:
    """Mean of the differences (second − first), standard error, interval, two-sided p-value.

    Attributes:
        mean: mean of second − first.
        se: its standard error.
        low: lower end of the interval for the true mean difference.
        high: upper end of it.
        p_value: two-sided: how often two treatments that do the same would differ as much.
        samples: how many examples.

    >>> import torch
    >>> paired(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.5, 2.5, 3.5]))
    Paired(mean=0.5, se=0.0, low=0.5, high=0.5, p_value=0.25, samples=3)
    """

    mean: float
    se: float
    low: float
    high: float
    p_value: float
    samples: int


def paired(first: Tensor, second: Tensor, *, level: float = 0.95) -> Paired:
    """Student's paired t: t = d̄ / (s/√n) with n − 1 degrees of freedom. [student1908probable]

    Exact for Gaussian differences, and by the central limit theorem for any with finite variance
    as n grows. What both treatments share cancels, so that n examples tell far smaller changes
    apart than two independent samples of n would.

    Differences that are all the same and not 0 have no spread to judge by; their p-value is then
    that of the sign test, 2·2⁻ⁿ, the least that n examples can give without an assumption; if all
    are 0 it is 1. Below some 20 examples that are not Gaussian the t test errs more often than it
    says.

    Args:
        first: (n,) figure of each example under the first treatment, such as its loss.
        second: (n,) the same examples under the second.
        level: probability with which the interval holds the true mean difference.

    Raises:
        UsageError: fewer than two examples, other shapes, or a level outside (0, 1).

    >>> import torch
    >>> result = paired(torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([0.5, 1.9, 2.4, 3.8]))
    >>> round(result.mean, 3), round(result.p_value, 4)
    (-0.35, 0.0605)
    """
    if first.ndim != 1 or first.shape != second.shape or len(first) < 2:
        raise UsageError(
            f"paired() takes two rows of at least 2 figures of the same examples, not shapes "
            f"{tuple(first.shape)} and {tuple(second.shape)}"
        )
    difference = second.double() - first.double()
    samples = len(difference)
    mean, se = float(difference.mean()), float(difference.std()) / math.sqrt(samples)
    reach = se * student_quantile(level, samples - 1)
    if se > _ROUNDING * abs(mean):
        p_value = student_tail(mean / se, samples - 1)
    else:
        p_value = 1.0 if mean == 0 else 2.0 ** (1 - samples)
    return Paired(mean, se, mean - reach, mean + reach, p_value, samples)


def student_tail(t: float, freedom: float) -> float:
    """P(|T| > |t|) = 1 − I_x(1/2, ν/2) at x = t²/(ν + t²). [dlmf, 8.17; student1908probable]

    >>> round(student_tail(2.228, 10), 4)
    0.05
    """
    square = t * t
    return max(0.0, 1 - half_incomplete_beta(square / (freedom + square), freedom / 2))


def student_quantile(level: float, freedom: float) -> float:
    """The t with P(|T| ≤ t) = level, by bisection.

    Raises:
        UsageError: a level outside (0, 1).

    >>> round(student_quantile(0.95, 10), 3)
    2.228
    """
    if not 0 < level < 1:
        raise UsageError(f"level is {level}; pass a probability between 0 and 1, such as 0.95")
    low, high = 0.0, 1.0
    while student_tail(high, freedom) > 1 - level:
        low, high = high, 2 * high
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if student_tail(middle, freedom) > 1 - level else (low, middle)
    return (low + high) / 2
