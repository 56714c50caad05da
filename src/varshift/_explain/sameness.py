"""Whether two passes show the same, as far as rounding lets one tell."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from varshift._engine import SampleMoments, Tally, rounding

__all__ = ["Sameness"]

_SAME = 1e-3  # of a deviation: far above rounding, far below any shift worth a word

Moments = Mapping[str, SampleMoments]


class Sameness:
    """Compares what samples show in two passes, in deviations of the training pass."""

    def __init__(self, train: Mapping[str, Tally]) -> None:
        self._deviations, self._tolerances = {}, {}
        for place, tally in train.items():
            total = tally.total()
            var = total.var(unbiased=False)
            deviation = var.clamp(min=1e-12 * float(var.max().clamp(min=1e-30))).sqrt()
            rounded = rounding(total.mean, tally.precision).sqrt()
            self._deviations[place] = deviation
            self._tolerances[place] = _SAME * deviation + rounded

    def differs(self, place: str, one: SampleMoments, two: SampleMoments) -> Tensor:
        """Which samples of a place differ, (samples,) bool."""
        tolerance, deviation = self._tolerances[place], self._deviations[place]
        first = (one.first - two.first).abs() > tolerance
        second = (one.second - two.second).abs() > 10 * tolerance * deviation
        differ: Tensor = (first | second).any(1)
        return differ

    def holds(self, one: Moments, two: Moments, among: Tensor | None = None) -> bool:
        """Whether all samples, or those `among` them, are the same wherever both have been."""
        return not self.apart(one, two, among)

    def apart(self, one: Moments, two: Moments, among: Tensor | None = None) -> int:
        """At how many places some of them differ."""
        found = (self.differs(place, one[place], two[place]) for place in one.keys() & two.keys())
        return sum(bool((each if among is None else each[among]).any()) for each in found)
