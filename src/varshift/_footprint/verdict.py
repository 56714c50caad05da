"""From fits to sites: intervals of drop_p, and which sites claim noise."""

from __future__ import annotations

import math

from varshift._footprint.choosing import Choice
from varshift._footprint.fitting import Estimates, Fit, p_value, student_quantile
from varshift._footprint.places import NoisePlace, coded
from varshift._footprint.records import NormRecord
from varshift._footprint.settling import Settling
from varshift.results import FootprintSite, Instead

__all__ = ["judged"]

_LEVEL = 0.95
_FALSE_CLAIMS = 0.01  # of models without noise
_NEGLIGIBLE_DROP = 0.02
_NEGLIGIBLE_ADDED = 0.03  # weights on the move often do 0.02


def judged(run: Settling, fitted: Estimates) -> list[FootprintSite]:
    """A record for each place taken, in the order of the norms; those of one norm side by side."""
    chances = {number: p_value(found) for number, found in fitted.places.items()}
    unlikely = _holm(chances, len(run.places))
    routes = {place: route for route in run.routes for place in route.noises}

    def record(path: str, number: int, choice: Choice) -> FootprintSite:
        place, found = run.places[number], fitted.places[number]
        drop_p, low, high = _interval(found)
        beyond_chance = number in unlikely and low > 0
        return FootprintSite(
            path=path,
            place=place.path,
            placement=routes[place].placement,
            noise=place.noise,
            drop_p=drop_p,
            low=low,
            high=high,
            level=_LEVEL,
            tau=found.tau,
            tau_se=found.tau_se,
            added=found.added,
            p_value=chances[number],
            claimed=beyond_chance and not _negligible(drop_p, found.added),
            misfit=fitted.norms[path].misfit,
            channels=len(run.memories[path].var),
            used=fitted.norms[path].used,
            alike=routes[place].alike,
            instead=tuple(_instead(run.places[n], other) for n, other in choice.instead.items()),
            coded=coded(run.setting.run.model, (place.path, *routes[place].alike)),
            **_pattern(run.evidence[path], number, fitted),
        )

    return [
        record(path, number, choice)
        for path, choice in run.choices.items()
        for number in choice.taken
    ]


def _pattern(evidence: NormRecord, number: int, fitted: Estimates) -> dict[str, tuple[float, ...]]:
    """By channel, what a unit of this noise adds and what is stored beyond all else."""
    live = evidence.live
    excess = evidence.stored_var[live] / (evidence.observed * evidence.quiet) - 1
    for other, found in fitted.places.items():
        if other != number and other in evidence.levers:
            excess = excess - found.tau * evidence.levers[other].var[live]
    lever = evidence.levers[number].var[live]
    return {"lever": tuple(lever.tolist()), "excess": tuple(excess.tolist())}


def _instead(place: NoisePlace, found: Fit) -> Instead:
    return Instead(place.path, place.noise, *_interval(found))


def _interval(found: Fit) -> tuple[float, float, float]:
    """drop_p and the ends of its confidence interval."""
    reach = student_quantile(_LEVEL, found.dof) * found.tau_se
    low, high = _drop_p(found.tau - reach), _drop_p(found.tau + reach)
    return _drop_p(found.tau), low, high


def _negligible(drop_p: float, added: float) -> bool:
    return drop_p < _NEGLIGIBLE_DROP or added < _NEGLIGIBLE_ADDED


def _drop_p(tau: float) -> float:
    """τ/(1 + τ), also below 0, where `theory.drop_p_of` refuses; −∞ from τ = −1 down."""
    return tau / (1 + tau) if tau > -1 else -math.inf


def _holm(chances: dict[int, float], tried: int) -> set[int]:
    """Places whose hypothesis of no noise falls by Holm's step-down rule, of so many tried."""
    fallen: set[int] = set()
    for rank, number in enumerate(sorted(chances, key=chances.__getitem__)):
        if chances[number] > _FALSE_CLAIMS / (tried - rank):
            break
        fallen.add(number)
    return fallen
