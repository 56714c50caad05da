"""A mean over seeds with its interval, and what it says about a claim."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from varshift.theory import student_quantile

__all__ = ["LEVEL", "Estimate", "Part", "Role", "Word", "estimate", "estimate_over"]

LEVEL = 0.95
Word = Literal["holds", "does not hold", "not decided"]
Role = Literal["decides", "network", "beside"]


@dataclass(frozen=True)
class Estimate:
    """Mean of independent figures and Student's interval at LEVEL; NaN from fewer than two."""

    mean: float
    low: float
    high: float
    values: tuple[float, ...]


def estimate(values: Iterable[float]) -> Estimate:
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


def estimate_over(networks: Sequence[Sequence[float]]) -> Estimate:
    """The mean over networks of their means over seeds, with the interval that seeds give it.

    The networks are these and no sample of others: what differs between them is no error. Each
    mean has the variance s²/n of its own seeds; degrees of freedom by [welch1947generalization].

    >>> found = estimate_over([[1.0, 2.0, 3.0], [5.0, 6.0, 7.0]])
    >>> round(found.mean, 2), round(found.low, 2), round(found.high, 2)
    (4.0, 2.87, 5.13)
    """
    told = [[value for value in seeds if math.isfinite(value)] for seeds in networks]
    told = [seeds for seeds in told if seeds]
    values = tuple(value for seeds in told for value in seeds)
    if not told:
        return Estimate(math.nan, math.nan, math.nan, ())
    mean = statistics.fmean(statistics.fmean(seeds) for seeds in told)
    if min(map(len, told)) < 2:
        return Estimate(mean, math.nan, math.nan, values)
    shares = [statistics.variance(seeds) / len(seeds) for seeds in told]
    whole = sum(shares)
    if whole == 0:
        return Estimate(mean, mean, mean, values)
    freedom = whole**2 / sum(
        share**2 / (len(seeds) - 1) for share, seeds in zip(shares, told, strict=True)
    )
    reach = student_quantile(LEVEL, freedom) * math.sqrt(whole) / len(told)
    return Estimate(mean, mean - reach, mean + reach, values)


@dataclass(frozen=True)
class Part:
    """One figure of a claim: its estimate, and the range it would have to lie in.

    Attributes:
        name: of the networks it is about.
        estimate: over seeds; over networks and seeds where it is about several.
        low, high: the claim holds here if the whole interval lies between them, and does not if
            the whole interval lies outside. ±inf for no bound.
        role: "decides" over networks, detail of one "network", or "beside": a control or a
            figure of interest that the verdict does not rest on.
    """

    name: str
    estimate: Estimate
    low: float = -math.inf
    high: float = math.inf
    role: Role = "network"

    @property
    def outside(self) -> bool:
        """Whether every seed, and there are several, lies outside."""
        values = self.estimate.values
        return len(values) > 1 and all(not self.low <= value <= self.high for value in values)

    @property
    def inside(self) -> bool:
        """Whether every seed, and there are several, lies inside."""
        values = self.estimate.values
        return len(values) > 1 and all(self.low <= value <= self.high for value in values)

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
