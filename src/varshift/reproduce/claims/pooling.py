"""One part per network, and one over all networks and seeds together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

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
    for family in families:
        found = list(values(family))
        if found:
            pooled += found
            yield Part(f"{family}{label}", estimate(found), low, high)
    yield Part(f"all{label}", estimate(pooled), low, high)


def differences(first: dict[int, float], second: dict[int, float]) -> list[float]:
    """What first is above second, seed by seed, where there are both."""
    return [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]
