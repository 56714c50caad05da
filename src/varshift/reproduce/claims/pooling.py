"""One part per network, and one over all of them that decides."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from varshift.reproduce.estimates import Part, estimate, estimate_over

__all__ = ["beside", "differences", "parts_of"]

Values = Callable[[str], Iterable[float]]


def parts_of(
    label: str,
    families: Iterable[str],
    values: Values,
    *,
    low: float = -math.inf,
    high: float = math.inf,
) -> Iterator[Part]:
    """Each network's own estimate, and the deciding one over all that have the figure.

    The deciding part is there even without a figure: what was not run leaves a claim undecided.
    """
    names = list(families)
    found = {family: seeds for family in names if (seeds := list(values(family)))}
    if len(found) != 1:
        for family, seeds in found.items():
            yield Part(f"{family}{label}", estimate(seeds), low, high)
    # "all" must be all: a figure of one network goes by that network's name.
    who = "all" if len(found) in (0, len(names)) else ", ".join(found)
    yield Part(f"{who}{label}", estimate_over(list(found.values())), low, high, "decides")


def beside(
    label: str, families: Iterable[str], values: Values, *, low: float = -math.inf
) -> Iterator[Part]:
    """Each network's estimate, for comparison: the verdict does not rest on it."""
    for family in families:
        if seeds := list(values(family)):
            yield Part(f"{family}{label}", estimate(seeds), low, role="beside")


def differences(first: dict[int, float], second: dict[int, float]) -> list[float]:
    """What first is above second, seed by seed, where there are both."""
    return [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]
