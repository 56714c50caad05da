"""A site's figure from what the checkpoint says and what the example shows, each with its error.

The constants were chosen on 280 small trained networks, so that nineteen of twenty sites lie in
their bands, and tried on others (docs/predict.md, `python -m benchmarks without_data`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from varshift._predict.example import Shown
from varshift.results import Expected
from varshift.results.expected import noise_var
from varshift.theory.spread import median

__all__ = ["Weighing"]

# Half the band of Δ from an example: what is always open; the error of log(noise ÷ signal), of
# what passed a norm or was drawn, both in units of the example's distance; and of the difference
# between norms that use what they have stored and norms that use the example itself.
_OPEN, _DIRECT, _DRAWN, _BETWEEN = 0.03, 1.3, 0.55, 0.7
_HALF_TRUST = 64  # samples at which the example's own statistics count as much as stored ones
_FEW = 16  # values per channel below which an example does not contradict a checkpoint


@dataclass(frozen=True, eq=False)
class Weighing:
    """How sites are figured on an example.

    `carried`: the norms that noise reaches through another norm. `stored`: by path the variance
    that a norm has stored, where the noise is that of training.
    """

    shown: Shown
    carried: frozenset[str]
    stored: dict[str, Tensor]

    def alone(self, path: str) -> Expected | None:
        """The site by the example alone; None where it has not shown it."""
        site = self.shown.sites.get(path)
        if site is None:
            return None
        delta = self._delta(site)
        half = self._half(site)
        middle = median(delta)
        if not math.isfinite(middle):
            return None
        site = self._scaled(site)
        return replace(
            site,
            how="example",
            delta=delta,
            delta_se=None,
            low=max(middle - half, 0.0),
            high=middle + half,
            var_test=delta * site.var_train,
            samples=0,
            floors={},
            local_band=_around(median(site.local()), half) if site.energies else None,
        )

    def corrected(self, said: Expected) -> Expected:
        """What the checkpoint says, moved as far as the example contradicts it beyond its error."""
        shown = self.alone(said.path)
        if shown is None or self.shown.values[said.path] < _FEW:
            return said
        half = self._half(self.shown.sites[said.path])
        apart = shown.shift - said.shift
        weight = max(0.0, 1 - (half / 2 / apart) ** 2) if apart else 0.0
        delta = torch.lerp(said.delta, shown.delta, weight)
        said = _moved(said, shown, weight) if said.path in self.stored else said
        middle = median(delta)
        return replace(
            said,
            delta=delta,
            low=max(middle - half, 0.0),
            high=middle + half,
            var_test=delta * said.var_train,
            local_band=_around(median(said.local()), half),
        )

    def _delta(self, site: Expected) -> Tensor:
        """By stored statistics and by the example's own, which a large one need not share."""
        batch = self.shown.batch.get(site.path)
        if batch is None:
            return site.delta
        weight = self._weight
        by_batch = torch.where(batch > 0, site.var_test / batch, torch.nan)
        return torch.lerp(site.delta, by_batch, weight)

    @property
    def _weight(self) -> float:
        return self.shown.samples / (self.shown.samples + _HALF_TRUST)

    def _half(self, site: Expected) -> float:
        # Few values err by themselves: log(variance) of n normal ones by √(2/(n − 1)), of which
        # the median is two thirds.
        few = math.sqrt(0.9 / max(self.shown.values[site.path] - 1, 1))
        distance = max(self.shown.distance, few)
        own = median(site.local()) if site.energies else 1.0
        drawn = site.path in self.carried or site.how in ("carried", "sampled")
        masks = self.shown.masks[site.path]  # the rest of it is in _DRAWN
        batch = self.shown.batch.get(site.path)
        between = 0.0
        if batch is not None:
            between = abs(median(site.var_test / batch) - site.shift)
        return (
            _OPEN
            + _DIRECT * own * (1 - own) * distance
            + _DRAWN * drawn * distance
            + _BETWEEN * self._weight * (between if math.isfinite(between) else 0.0)
            + (masks if math.isfinite(masks) else 0.0)
        )

    def _scaled(self, site: Expected) -> Expected:
        """The same shares of noise at the variance that the norm has stored."""
        stored = self.stored.get(site.path)
        if stored is None:
            return site
        by = torch.where(site.var_train > 0, stored / site.var_train, torch.nan)
        return replace(
            site,
            var_train=stored,
            signal=site.signal * by,
            energies={source: energy * by for source, energy in site.energies.items()},
        )


def _moved(said: Expected, shown: Expected, weight: float) -> Expected:
    """N as much nearer to what the example shows; the variance in training stays."""
    if said.energies.keys() != shown.energies.keys():
        return said
    energies = {
        source: torch.lerp(energy, shown.energies[source], weight)
        for source, energy in said.energies.items()
    }
    noise = noise_var(energies, said.taus, said.var_train)
    return replace(said, energies=energies, signal=said.var_train - noise)


def _around(middle: float, half: float) -> tuple[float, float]:
    return max(middle - half, 0.0), min(middle + half, 1.0)
