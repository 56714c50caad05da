"""From a number to a place on the paper, and the numbers written along an axis."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Scale", "linear", "log"]


@dataclass(frozen=True)
class Scale:
    """`scale(value)` is a place between `start` and `end`; NaN where the value has none."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool

    def __call__(self, value: float) -> float:
        """Where the value stands; outside the range it stays at the border."""
        if not math.isfinite(value) or (self.logarithmic and value <= 0):
            return math.nan
        low, high, at = self.low, self.high, value
        if self.logarithmic:
            low, high, at = math.log(low), math.log(high), math.log(value)
        share = min(max((at - low) / (high - low), 0.0), 1.0)
        return self.start + share * (self.end - self.start)

    def ticks(self, reference: float | None = None) -> list[float]:
        """About six round numbers within the range, and the reference if there is one."""
        found = _log_ticks(self) if self.logarithmic else _even_ticks(self)
        if reference is None or not self.low <= reference <= self.high:
            return found
        near = 0.05 * abs(self.end - self.start)
        kept = [tick for tick in found if abs(self(tick) - self(reference)) > near]
        return sorted([*kept, reference])


def linear(values: Iterable[float], start: float, end: float) -> Scale:
    """A scale over all finite values, with a little air on both sides.

    >>> linear([0.0, 1.0], 0, 100)(0.5)
    50.0
    """
    low, high = _range(value for value in values if math.isfinite(value))
    air = 0.04 * (high - low) or 0.5
    return Scale(low - air, high + air, start, end, False)


def log(values: Iterable[float], start: float, end: float) -> Scale:
    """The same for ratios and variances: equal factors are equal steps.

    >>> round(log([0.1, 10.0], 0, 100)(1.0), 6)
    50.0
    """
    low, high = _range(
        (value for value in values if math.isfinite(value) and value > 0), empty=(0.5, 2.0)
    )
    air = max((high / low) ** 0.06, 1.02)
    return Scale(low / air, high * air, start, end, True)


def _range(values: Iterable[float], empty: tuple[float, float] = (0.0, 1.0)) -> tuple[float, float]:
    found = list(values)
    return (min(found), max(found)) if found else empty


def _even_ticks(scale: Scale) -> list[float]:
    step = _round_step((scale.high - scale.low) / 6)
    first = math.ceil(scale.low / step)
    last = math.floor(scale.high / step)
    return [round(index * step, 12) for index in range(first, last + 1)]


def _log_ticks(scale: Scale) -> list[float]:
    decades = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
    for digits in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0)):
        found = [
            digit * 10.0**decade
            for decade in decades
            for digit in digits
            if scale.low <= digit * 10.0**decade <= scale.high
        ]
        if len(found) >= 4:
            return found[:: math.ceil(len(found) / 7)]
    # Less than a decade and a half: even steps read better than powers.
    even = [tick for tick in _even_ticks(scale) if tick > 0]
    return even if len(even) > max(len(found), 1) else found


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= rough * 0.999)
