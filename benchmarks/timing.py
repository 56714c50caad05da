"""CPU time of several things in turn, so that a slow moment hits all of them."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.lines import Spread

__all__ = ["Times", "Work", "in_turn", "ratio", "spent"]

Work = Callable[[], object]
Times = dict[str, list[float]]  # seconds, a figure per round


def in_turn(work: dict[str, Work], rounds: int) -> Times:
    """Seconds of CPU time of each, `rounds` times after one untimed round."""
    found: Times = {name: [] for name in work}
    for round_ in range(rounds + 1):
        for name, one in work.items():
            seconds = spent(one)
            if round_:
                found[name].append(seconds)
    return found


def ratio(times: Times, name: str, base: str) -> Spread:
    """Of the round-by-round ratios."""
    pairs = zip(times[name], times[base], strict=True)
    return Spread.of(one / other for one, other in pairs)


def spent(work: Work) -> float:
    """Seconds of CPU time of this process, once."""
    start = time.process_time()
    work()
    return time.process_time() - start
