"""Rates lowered until theory keeps every norm under a severity."""

from __future__ import annotations

import glob
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from varshift._predict.noises import Asked
from varshift.results import Expected, Prediction, Structure
from varshift.results.expected import noise_var
from varshift.theory.spread import median

__all__ = ["Limited", "lowered"]

# Severity − 1 is close to proportional to τ, so each round ends near the aim.
_ROUNDS = 10
_AIM = 0.995  # of what the bound allows, so that what is left of the error does not pass it
_NEAR = 0.004


@dataclass(frozen=True)
class Limited:
    """τ by source under the bound, the severity expected by norm, and notes as (norm, text)."""

    taus: Mapping[str, float]
    severities: Mapping[str, float]
    notes: tuple[tuple[str, str], ...]


def lowered(
    foretell: Callable[[Mapping[str, Any]], Prediction],
    asked: Mapping[str, Asked],
    structure: Structure,
    bound: float,
) -> Limited:
    """The largest rates that keep each norm the sources reach directly at most at the bound.

    First by the noise that arrives directly, sources with less than the common limit left as they
    are. Then, for what arrives through other norms too, all sources that reach a norm are scaled
    alike, never above what was asked.
    """
    laws = dict(asked)
    reached = {route.norm for route in structure.direct() if route.noise in asked}
    floor = foretell(_with(laws, dict.fromkeys(laws, 0.0)))
    hopeless = {path for path in reached & set(floor.sites) if floor[path].severity > bound}
    held = {path for path in reached - hopeless if _known(floor, path)}
    taus = _direct(foretell(_escaped(laws)), laws, held, bound)
    for _ in range(_ROUNDS):
        expected = foretell(_with(laws, taus))
        scaled = _scaled(expected, structure, held, laws, taus, bound)
        if all(abs(scaled[name] - tau) <= _NEAR * tau for name, tau in taus.items()):
            break
        taus = scaled
    else:
        expected = foretell(_with(laws, taus))
    severities = {path: expected.sites[path].severity for path in expected.sites}
    notes = [(path, _beyond(floor[path].severity, bound)) for path in sorted(hopeless)]
    return Limited(taus, severities, (*notes, *_notes(expected, reached - hopeless, bound)))


def _known(expected: Prediction, path: str) -> bool:
    """Whether a norm has a figure: it has been met, and has a channel that lives."""
    return path in expected.sites and math.isfinite(expected[path].severity)


def _direct(
    expected: Prediction, laws: Mapping[str, Asked], reached: set[str], bound: float
) -> dict[str, float]:
    taus = {name: law.tau for name, law in laws.items()}
    caps = dict(taus)
    for path in reached & set(expected.sites):
        site = expected.sites[path]
        cap = _cap(site, taus, bound)
        for name in set(site.energies) & set(taus):
            caps[name] = min(caps[name], cap)
    return caps


def _cap(site: Expected, taus: Mapping[str, float], bound: float) -> float:
    """The largest limit on τ under which the direct noise keeps the site at most at the bound."""
    low, high = 0.0, max((taus[name] for name in site.energies if name in taus), default=0.0)
    if _local(site, taus, high) <= bound:
        return high
    aim = 1 + _AIM * (bound - 1)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _local(site, taus, middle) <= aim else (low, middle)
    return low


def _local(site: Expected, taus: Mapping[str, float], cap: float) -> float:
    """Median severity by direct noise, no τ of those asked for above `cap`."""
    own = {
        name: min(taus[name], cap) if name in taus else site.taus.get(name, 0.0)
        for name in site.energies
    }
    live = site.signal > 0
    if not bool(live.any()):
        return 1.0
    return median((1 + noise_var(site.energies, own, site.signal) / site.signal)[live])


def _scaled(
    expected: Prediction,
    structure: Structure,
    held: set[str],
    laws: Mapping[str, Asked],
    taus: Mapping[str, float],
    bound: float,
) -> dict[str, float]:
    """τ that bring the worst norm of each source to the bound, none above what was asked."""
    factors: dict[str, float] = {}
    for path in held & set(expected.sites):
        factor = _factor(expected.sites[path].severity, bound)
        for route in structure.routes:
            if route.norm == path:
                factors[route.noise] = min(factors.get(route.noise, factor), factor)
    return {name: min(laws[name].tau, tau * factors.get(name, 1.0)) for name, tau in taus.items()}


def _factor(severity: float, bound: float) -> float:
    aim = _AIM * (bound - 1)
    if aim <= severity - 1 <= bound - 1:
        return 1.0
    return aim / max(severity - 1, 1e-12)


def _notes(expected: Prediction, held: set[str], bound: float) -> list[tuple[str, str]]:
    data = "" if expected.samples else "; pass data="
    found = []
    for path in sorted(held):
        site = expected.sites.get(path)
        if site is None or not math.isfinite(site.severity):
            why = expected.skipped.get(path, "no live channel" if site else "not reached")
            found.append(
                (
                    path,
                    f"its severity cannot be predicted ({why}): max_severity does not "
                    f"bound it{data}",
                )
            )
        elif site.severity > bound:
            found.append((path, f"predicted severity {site.severity:.3f}, still above {bound:g}"))
        elif site.how == "sampled":
            found.append((path, "its noise has no closed form here: the severity was sampled"))
    return found


def _beyond(severity: float, bound: float) -> str:
    return (
        f"predicted severity {severity:.3f} by other noise alone, above max_severity={bound:g}: "
        "no rate was lowered for this norm; name that noise too"
    )


def _with(laws: Mapping[str, Asked], taus: Mapping[str, float]) -> dict[str, Asked]:
    return _escaped({name: replace(law, tau=taus[name]) for name, law in laws.items()})


def _escaped(laws: Mapping[str, Asked]) -> dict[str, Asked]:
    return {glob.escape(name): law for name, law in laws.items()}
