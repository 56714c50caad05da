"""Which noises a norm's channels agree on, among those that it may have met first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product

from varshift._footprint.drift import Drift
from varshift._footprint.fitting import Evidence, Fit, Fitted, fit
from varshift._footprint.places import Place

__all__ = ["Choice", "choose"]

# In −2 log likelihood, by experiment with trained networks: what a place must be better by than the
# first of the list, one that is unusual, a second noise at the same norm.
_OTHER, _UNUSUAL, _SECOND = 3.0, 10.0, 16.0
_CLEAR = 4.0  # standard errors of each of two noises at one norm
_WITHIN = 4.0  # −2 log likelihood within which places cannot be told apart


@dataclass(frozen=True)
class Choice:
    """The places taken for a norm, by number, and each that alone explains its channels as well."""

    taken: tuple[int, ...]
    instead: Mapping[int, Fit] = field(default_factory=dict)


@dataclass(frozen=True)
class _Tried:
    taken: tuple[int, ...]
    cost: float
    fitted: Fitted


def choose(
    path: str,
    evidence: Evidence,
    candidates: Mapping[int, Place],
    drift: Drift,
    asked: bool,
) -> Choice:
    """The best of `candidates`, by number; `asked`: each was named, so each is to be told."""
    subsets = _all_of(candidates) if asked else _few_of(candidates)
    tried = []
    for number, taken in enumerate(subsets):
        fitted = fit({path: evidence}, taken, freed=list(candidates), drifts={path: drift})
        if asked or len(taken) == 1 or _clear(fitted):
            cost = fitted.norms[path].loss + _price(candidates, taken, first=number == 0)
            tried.append(_Tried(taken, cost, fitted))
    best = min(tried, key=lambda each: each.cost)
    return Choice(best.taken, {} if asked else _as_good(best, tried, path))


def _few_of(candidates: Mapping[int, Place]) -> list[tuple[int, ...]]:
    """One place, or two of different inputs."""
    ones = sorted(candidates, key=lambda number: not candidates[number].usual)
    pairs = [
        pair
        for pair in combinations(ones, 2)
        if candidates[pair[0]].path != candidates[pair[1]].path
    ]
    return [*((number,) for number in ones), *pairs]


def _all_of(candidates: Mapping[int, Place]) -> list[tuple[int, ...]]:
    """Every input, with either kind of noise."""
    by_path: dict[str, list[int]] = {}
    for number, place in candidates.items():
        by_path.setdefault(place.path, []).append(number)
    return list(product(*by_path.values()))


def _clear(fitted: Fitted) -> bool:
    return all(each.tau > _CLEAR * each.tau_se for each in fitted.places.values())


def _price(candidates: Mapping[int, Place], taken: Sequence[int], first: bool) -> float:
    unusual = sum(not candidates[number].usual for number in taken)
    return (0.0 if first else _OTHER) + _UNUSUAL * unusual + _SECOND * (len(taken) - 1)


def _as_good(best: _Tried, tried: list[_Tried], path: str) -> dict[int, Fit]:
    """Single places that explain the channels nearly as well as the one taken."""
    if len(best.taken) > 1:
        return {}
    bound = best.fitted.norms[path].loss + _WITHIN
    return {
        each.taken[0]: each.fitted.places[each.taken[0]]
        for each in tried
        if len(each.taken) == 1 and each is not best and each.fitted.norms[path].loss <= bound
    }
