"""A mean over seeds with its interval, and what it says about a claim."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from varshift.theory import student_quantile

__all__ = ["LEVEL", "Estimate", "Part", "Word", "estimate"]

LEVEL = 0.95
Word = Literal["holds", "does not hold", "not decided"]


@dataclass(frozen=True)
class Estimate:
    """Mean of independent figures and Student's interval at LEVEL; NaN from fewer than two."""

    mean: float
    low: float
    high: float
    values: tuple[float, ...]


def estimate(values: Sequence[float]) -> Estimate:
    """Mean ± t·s/√n with n − 1 degrees of freedom. [student1908probable]

    >>> found = estimate([1.0, 2.0, 3.0])
    >>> round(found.mean, 2), round(found.low, 2), round(found.high, 2)
    (2.0, -0.48, 4.48)
    """
    told = tuple(value for value in values if math.isfinite(value))
    if not told:
        return Estimate(math.nan, math.nan, math.nan, ())
    mean = statistics.fmean(told)
    if len(told) < 2:
        return Estimate(mean, math.nan, math.nan, told)
    reach = student_quantile(LEVEL, len(told) - 1) * statistics.stdev(told) / math.sqrt(len(told))
    return Estimate(mean, mean - reach, mean + reach, told)


@dataclass(frozen=True)
class Part:
    """One figure of a claim: its estimate, and the range it would have to lie in.

    Attributes:
        name: of the networks it is about.
        estimate: over seeds; over networks and seeds where it is about several.
        low, high: the claim holds here if the whole interval lies between them, and does not if
            the whole interval lies outside. ±inf for no bound.
    """

    name: str
    estimate: Estimate
    low: float = -math.inf
    high: float = math.inf

    @property
    def word(self) -> Word:
        """What the interval says."""
        found = self.estimate
        if math.isnan(found.low):
            return "not decided"
        if found.low > self.low and found.high < self.high:
            return "holds"
        if found.high < self.low or found.low > self.high:
            return "does not hold"
        return "not decided"
