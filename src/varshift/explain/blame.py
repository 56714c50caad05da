"""From contrasts to the blame matrix, and to what all the noise together does."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from varshift.explain.contrast import Contrast, Effect
from varshift.explain.lanes import Spread
from varshift.explain.passes import BlamePasses
from varshift.explain.results import Blame, Figure
from varshift.measure.tally import jackknife_error
from varshift.structure import Structure

__all__ = ["blame_of", "noisy_spread"]


def noisy_spread(passes: BlamePasses, place: str) -> Spread:
    """What a place receives with all noise on, every norm using its training statistics."""
    clean = passes.clean.spread(place)
    contrast = passes.contrasts.get(place)
    effect = contrast.effect(passes.design.all) if contrast is not None else None
    if effect is None:
        return clean
    rows = len(clean.mean)  # fewer samples than groups: the groups behind are empty
    return clean.plus(effect.mean[:rows], effect.var[:rows])


def blame_of(passes: BlamePasses, structure: Structure, count: int) -> Blame:
    """The matrix; `count` is how many passes over the data it took."""
    reached = {(route.noise, route.norm) for route in structure.routes}
    norms = {norm.path for norm in structure.norms}
    places = [_Place(passes, name) for name in passes.clean.tallies]
    pairs = [
        (source, place)
        for place in places
        for source in passes.sources
        if place.name not in norms or (source, place.name) in reached
    ]
    found = [(source, place, effect) for source, place in pairs if (effect := place.of(source))]
    parts = {place.name: place.parts([s for s, p, _ in found if p is place]) for place in places}
    return Blame(
        noises=tuple(passes.sources),
        places=tuple(place.name for place in places),
        share={(source, place.name): place.share(effect) for source, place, effect in found},
        mean_shift={(source, place.name): place.moved(effect) for source, place, effect in found},
        total={name: part.total for name, part in parts.items()},
        interaction={name: part.interaction for name, part in parts.items()},
        rest={name: part.rest for name, part in parts.items()},
        silenced=dict(passes.silenced),
        passes=count,
        unit="batch" if passes.design.whole_batches else "sample",
    )


@dataclass(frozen=True)
class _Parts:
    total: Figure
    interaction: Figure
    rest: Figure


class _Place:
    """One norm site or output, and the effects of the sources there."""

    def __init__(self, passes: BlamePasses, name: str) -> None:
        self.name = name
        self._design = passes.design
        self._contrast: Contrast | None = passes.contrasts.get(name)
        self._noisy = noisy_spread(passes, name)
        var, mean = self._noisy.var[0], self._noisy.mean[0]
        precision = passes.clean.tallies[name].precision
        self._live = var > (8 * precision * mean).square()

    def of(self, source: str) -> Effect | None:
        """What the source does alone, beyond what is there with every source silenced."""
        effect = self._subset(self._design.sources.index(source))
        rest = self._rest()
        if effect is None or rest is None:
            return effect
        return Effect(effect.mean - rest.mean, effect.var - rest.var, effect.samples)

    def share(self, effect: Effect) -> Figure:
        """Variance that the effect adds ÷ variance with all noise, mean over live channels."""
        return self._figure(self._share(effect))

    def moved(self, effect: Effect) -> Figure:
        """Root mean square over live channels of the mean's shift, in deviations with noise on."""
        shift = (effect.mean / self._noisy.var[0].clamp(min=1e-300).sqrt())[:, self._live]
        if len(shift) < 2 or not shift.numel():
            return Figure(0.0, 0.0)
        square = shift.square().mean(1) - jackknife_error(shift[1:]).square().mean()
        return self._figure(square.clamp(min=0).sqrt())

    def parts(self, sources: list[str]) -> _Parts:
        """All together, what is left over beyond the sum, and what cannot be silenced."""
        nothing = torch.zeros(1, dtype=torch.float64)
        rest = self._rest()
        whole = self._subset(self._design.all)
        alone = [self._share(effect) for source in sources if (effect := self.of(source))]
        total = nothing if whole is None else self._share(whole)
        left = nothing if rest is None else self._share(rest)
        single = len(self._design.sources) < 2
        beyond = nothing if single else total - sum(alone, torch.zeros_like(total)) - left
        return _Parts(self._figure(total), self._figure(beyond), self._figure(left))

    def _subset(self, subset: int) -> Effect | None:
        return None if self._contrast is None else self._contrast.effect(subset)

    def _rest(self) -> Effect | None:
        return self._subset(self._design.none)

    def _share(self, effect: Effect) -> Tensor:
        rows = len(self._noisy.var)  # as many groups as there are samples, at most
        share: Tensor = (effect.var[:rows] / self._noisy.var)[:, self._live].mean(1)
        return share

    @staticmethod
    def _figure(rows: Tensor) -> Figure:
        error = float(jackknife_error(rows[1:])) if len(rows) > 1 else 0.0
        return Figure(float(rows[0]), error)
