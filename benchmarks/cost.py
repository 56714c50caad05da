"""CPU time of one thing over another, in turn, so that a slow moment hits both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Work = Callable[[], object]


@dataclass(frozen=True)
class Cost:
    """Seconds of CPU time, medians over the rounds, and the median of their ratios."""

    base: float
    seconds: float
    ratio: float
    low: float
    high: float


def cost(base: Work, work: Work, rounds: int = 5) -> Cost:
    """Run both once untimed, then in turn; the ratio is taken round by round."""
    base(), work()
    pairs = [(_spent(base), _spent(work)) for _ in range(rounds)]
    ratios = sorted(seconds / plain for plain, seconds in pairs)
    return Cost(
        base=statistics.median(plain for plain, _ in pairs),
        seconds=statistics.median(seconds for _, seconds in pairs),
        ratio=statistics.median(ratios),
        low=ratios[0],
        high=ratios[-1],
    )


def _spent(work: Work) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
