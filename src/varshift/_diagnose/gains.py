"""The severity to expect of other noise, from what was recorded: no pass more.

Noise adds τN to a variance, and N knows nothing of τ: with the weights as they are, Δ under another
rate is v/(v + τ'N). What reaches a norm through another one is drawn, not closed; of that each
source has the part that blame gives it, and grows with its τ. What a norm receives of noise behind
a nonlinearity that no closed form follows grows by no law: there is a figure only for none of it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from varshift._explain.rest import tells
from varshift.results import Blame, Expected, Figure, Noise, Structure
from varshift.results.grading import GRADES
from varshift.theory.noise import drop_p_of, tau_of
from varshift.theory.spread import median

__all__ = ["Gains", "LowerRate"]

_STEPS = 60  # of a bisection: beyond any rate's digits
_OF_USE = 0.05  # a rate below regularises next to nothing


@dataclass(frozen=True)
class LowerRate:
    """One rate for some sources, at which every norm that they displace is mild at most."""

    drop_p: float
    sources: tuple[str, ...]
    ratios: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Gains:
    """What theory says of every norm in the passes that were made, and whose the noise is."""

    expected: Mapping[str, Expected]
    blame: Blame
    structure: Structure

    def severity(self, place: str, ratios: Mapping[str, float]) -> Figure | None:
        """The severity at a norm once each source has so many times its τ, those not named theirs.

        None where no pass has shown what the noise does there, or no closed form follows it.
        """
        site = self.expected.get(place)
        if site is None or self._by_draws(site, ratios):
            return None
        value = _severity(self._shift(site, ratios))
        if not (math.isfinite(value) and math.isfinite(site.severity)):
            return None
        # 1/Δ − 1 is proportional to what the noise adds, and so is its error.
        part = (value - 1) / (site.severity - 1) if site.severity > 1 else 1.0
        error = math.log(site.high / site.low) / 4 * site.severity
        return Figure(value, abs(part) * error)

    def without(self, place: str, sources: Collection[str]) -> Figure | None:
        """The severity once these sources draw no more."""
        return self.severity(place, dict.fromkeys(sources, 0.0))

    def lower_rate(self, places: Collection[str]) -> LowerRate | None:
        """The largest common rate at which none of these norms shifts worse than mildly.

        None where no rate of use does that, what reaches them has none, or only draws would tell.
        """
        sources = self.rated(places)
        if not sources or self.sampled(places):
            return None
        tau = min(self._largest_tau(place, sources) for place in places)
        drop_p = math.floor(100 * drop_p_of(tau)) / 100
        if drop_p < _OF_USE:
            return None
        above = [noise for noise in sources if (noise.drop_p or 0.0) > drop_p]
        ratios = {noise.name: tau_of(drop_p) / (noise.tau or 1.0) for noise in above}
        return LowerRate(drop_p, tuple(ratios), ratios) if ratios else None

    def rated(self, places: Collection[str]) -> list[Noise]:
        """The sources that reach one of these norms, and draw as much as a rate says."""
        reaching = {route.noise for route in self.structure.routes if route.norm in places}
        return [n for n in self.structure.noises if n.name in reaching and _rated(n)]

    def sampled(self, places: Collection[str]) -> bool:
        """Whether at one of these norms nothing but draws tells what another rate would do."""
        expected = [self.expected[place] for place in places if place in self.expected]
        other = dict.fromkeys((noise.name for noise in self.rated(places)), 0.5)
        return any(self._by_draws(site, other) for site in expected)

    def _by_draws(self, site: Expected, ratios: Mapping[str, float]) -> bool:
        """Whether noise that no closed form follows there is asked for at another rate."""
        direct = {route.noise for route in self.structure.direct() if route.norm == site.path}
        changed = {source for source, ratio in ratios.items() if ratio not in (0.0, 1.0)}
        return site.how == "sampled" and bool(changed & direct - site.energies.keys())

    def _largest_tau(self, place: str, sources: list[Noise]) -> float:
        site = self.expected.get(place)
        if site is None:
            return 0.0
        low, high = 0.0, max(noise.tau or 0.0 for noise in sources)
        for _ in range(_STEPS):
            middle = (low + high) / 2
            ratios = {noise.name: min(1.0, middle / (noise.tau or 1.0)) for noise in sources}
            fits = _severity(self._shift(site, ratios)) <= GRADES["clear"]
            low, high = (middle, high) if fits else (low, middle)
        return low

    def _shift(self, site: Expected, ratios: Mapping[str, float]) -> Tensor:
        """Δ per channel."""
        test = site.var_test
        drawn = {source: site.taus[source] * n for source, n in site.energies.items()}
        zero = torch.zeros_like(test)
        direct = sum(drawn.values(), zero)
        other = site.var_train - test - direct
        left = sum((self._ratio(source, ratios) * part for source, part in drawn.items()), zero)
        train = test + left + self._kept(site, ratios) * other
        return torch.where((test > 0) & (train > 0), test / train, math.nan)

    def _kept(self, site: Expected, ratios: Mapping[str, float]) -> float:
        """How much stays of what the closed forms do not hold, by the shares of its sources."""
        routes = [route for route in self.structure.routes if route.norm == site.path]
        shares = {
            route.noise: abs(self.blame.share[route.noise, site.path].value)
            for route in routes
            if (route.noise, site.path) in self.blame.share
            and (
                route.noise not in site.energies
                or "through-norm" in route.placements
                or route.noise in self.blame.left_out  # what its mean does is in no closed form
            )
        }
        if tells(self.blame, site.path):
            shares[""] = abs(self.blame.rest[site.path].value)
        whole = sum(shares.values())
        if not whole:  # the scatter of sampling is all there is
            return 0.0
        kept = {
            source: 0.0 if self._rescaled(source, ratios) else ratios.get(source, 1.0)
            for source in shares
        }
        return sum(kept[source] * share for source, share in shares.items()) / whole

    def _ratio(self, source: str, ratios: Mapping[str, float]) -> float:
        """How many times its τN: noise in its place has mean one, and N was seen of its mean."""
        ratio = ratios.get(source, 1.0)
        if not (ratio and self._rescaled(source, ratios)):
            return ratio
        return ratio / self.blame.left_out[source] ** 2

    def _rescaled(self, source: str, ratios: Mapping[str, float]) -> bool:
        """Whether noise of mean one takes the place of some that has another mean."""
        return source in self.blame.left_out and ratios.get(source, 1.0) != 1.0


def _rated(noise: Noise) -> bool:
    """Whether it is a rate that says how much it draws."""
    return noise.active and noise.drop_p is not None and bool(noise.tau) and noise.drop_p < 1


def _severity(shift: Tensor) -> float:
    return median(torch.maximum(shift, 1 / shift))
