"""Interleaved timing: every candidate once per round, so that a slow moment hits all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Work = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Seconds of one candidate over the rounds."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle round."""
        return statistics.median(self.seconds)


def interleaved(work: dict[str, Work], rounds: int) -> dict[str, Timing]:
    """Time each candidate `rounds` times after one untimed round, in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for round_ in range(rounds + 1):
        for name, run in work.items():
            start = time.perf_counter()
            run()
            if round_:
                seconds[name].append(time.perf_counter() - start)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def ratio(timings: dict[str, Timing], name: str, base: str) -> tuple[float, float, float]:
    """Median, smallest and largest of the round-by-round ratios."""
    pairs = zip(timings[name].seconds, timings[base].seconds, strict=True)
    ratios = sorted(one / other for one, other in pairs)
    return statistics.median(ratios), ratios[0], ratios[-1]
