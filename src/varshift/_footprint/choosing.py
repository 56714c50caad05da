"""Which noises a norm's channels agree on, among those that it may have met first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product

from varshift._footprint.drift import Drift
from varshift._footprint.fitting import Estimates, Fit, fit
from varshift._footprint.places import NoiseKind, NoisePlace
from varshift._footprint.records import NormRecord

__all__ = ["Choice", "choose"]

# In −2 log likelihood, by experiment with trained networks: what a place must be better by than one
# of the kind that the whole network speaks for, and a second noise at the same norm than the first.
_OTHER, _UNUSUAL, _SECOND = 6.0, 10.0, 6.0
_LEAST = 1.5  # standard errors of each of two noises at one norm
_WITHIN = 4.0  # −2 log likelihood within which places cannot be told apart
_MOST_SAID = 20.0  # −2 log likelihood by which one norm may speak for a kind

Manner = tuple[bool, NoiseKind]  # straight before a norm or not, and what shares a mask value


@dataclass(frozen=True)
class Choice:
    """The places taken for a norm, by number, and each that alone explains its channels as well."""

    taken: tuple[int, ...]
    instead: Mapping[int, Fit] = field(default_factory=dict)


@dataclass(frozen=True)
class _Tried:
    taken: tuple[int, ...]
    loss: float
    fitted: Estimates


def choose(
    evidence: Mapping[str, NormRecord],
    candidates: Mapping[str, Mapping[int, NoisePlace]],
    drifts: Mapping[str, Drift],
    asked: bool,
) -> dict[str, Choice]:
    """By norm, the best of its `candidates`; `asked`: each was named, so each is to be told.

    Where the channels of one norm cannot tell, the others do: people put dropout at like places.
    """
    tried = {
        path: _tried(path, evidence[path], among, drifts[path], asked)
        for path, among in candidates.items()
        if among
    }
    manner = _manner(tried, candidates)
    found = {}
    for path, each in tried.items():
        among = candidates[path]
        best = min(each, key=lambda one: one.loss + _price(path, among, one.taken, manner))
        found[path] = Choice(best.taken, {} if asked else _as_good(best, each))
    return found


def _tried(
    path: str, evidence: NormRecord, among: Mapping[int, NoisePlace], drift: Drift, asked: bool
) -> list[_Tried]:
    found = []
    for taken in _all_of(among) if asked else _few_of(among):
        fitted = fit({path: evidence}, taken, freed=list(among), drifts={path: drift})
        if asked or len(taken) == 1 or _both(fitted):
            found.append(_Tried(taken, fitted.norms[path].loss, fitted))
    return found


def _few_of(among: Mapping[int, NoisePlace]) -> list[tuple[int, ...]]:
    """One place, or two of different inputs."""
    ones = sorted(among, key=lambda number: not among[number].usual)
    pairs = [
        (one, other) for one, other in combinations(ones, 2) if among[one].path != among[other].path
    ]
    return [*((number,) for number in ones), *pairs]


def _all_of(among: Mapping[int, NoisePlace]) -> list[tuple[int, ...]]:
    """Every input, with either kind of noise."""
    by_path: dict[str, list[int]] = {}
    for number, place in among.items():
        by_path.setdefault(place.path, []).append(number)
    return list(product(*by_path.values()))


def _both(fitted: Estimates) -> bool:
    return all(each.tau > _LEAST * each.tau_se for each in fitted.places.values())


def _manner(
    tried: Mapping[str, list[_Tried]], candidates: Mapping[str, Mapping[int, NoisePlace]]
) -> Manner:
    """The manner of noise that explains most over all norms; before weights where none does."""
    least = [_least(path, each, candidates[path]) for path, each in tried.items()]
    manners = dict.fromkeys([(False, "element"), *(each for one in least for each in one)])

    def cost(manner: Manner) -> float:
        usual = any(
            place.usual and _of(path, place) == manner
            for path, among in candidates.items()
            for place in among.values()
        )
        lost = [
            min(one[manner] - min(one.values()), _MOST_SAID) if manner in one else _MOST_SAID / 2
            for one in least
        ]
        return sum(lost) + (0.0 if usual else _UNUSUAL)

    return min(manners, key=cost)


def _least(path: str, tried: list[_Tried], among: Mapping[int, NoisePlace]) -> dict[Manner, float]:
    """By manner, the least loss of one noise alone."""
    found: dict[Manner, float] = {}
    for one in tried:
        if len(one.taken) == 1:
            manner = _of(path, among[one.taken[0]])
            found[manner] = min(one.loss, found.get(manner, one.loss))
    return found


def _of(path: str, place: NoisePlace) -> Manner:
    return place.path == path, place.noise


def _price(
    path: str, among: Mapping[int, NoisePlace], taken: Sequence[int], manner: Manner
) -> float:
    strange = [among[number] for number in taken if _of(path, among[number]) != manner]
    unusual = _UNUSUAL * sum(not place.usual for place in strange)
    return unusual + (_SECOND if len(taken) > 1 else _OTHER if strange else 0.0)


def _as_good(best: _Tried, tried: list[_Tried]) -> dict[int, Fit]:
    """Single places that explain the channels nearly as well as the one taken."""
    if len(best.taken) > 1:
        return {}
    return {
        each.taken[0]: each.fitted.places[each.taken[0]]
        for each in tried
        if len(each.taken) == 1 and each is not best and each.loss <= best.loss + _WITHIN
    }
