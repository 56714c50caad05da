"""One part per network, and one over all networks and seeds together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from varshift.reproduce.estimates import Part, estimate

__all__ = ["differences", "parts_of"]


def parts_of(
    label: str,
    families: Iterable[str],
    values: Callable[[str], Iterable[float]],
    *,
    low: float = -math.inf,
    high: float = math.inf,
) -> Iterator[Part]:
    """The network's own estimates, and the deciding one over all of their values.

    Seeds of one network are alike, so the pooled interval is about the mean over these networks
    and seeds, not about networks nobody trained.
    """
    pooled: list[float] = []
    seeds = 0
    for family in families:
        found = list(values(family))
        if found:
            pooled += found
            seeds = max(seeds, len(found))
            yield Part(f"{family}{label}", estimate(found), low, high)
    whole = estimate(pooled)
    if seeds < 2:  # networks differ, but nothing tells by how much their seeds do
        whole = replace(whole, low=math.nan, high=math.nan)
    yield Part(f"all{label}", whole, low, high)


def differences(first: dict[int, float], second: dict[int, float]) -> list[float]:
    """What first is above second, seed by seed, where there are both."""
    return [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]
