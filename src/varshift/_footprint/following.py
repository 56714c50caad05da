"""Behind an activation a channel whose mean has moved has taken its variance along. Numbers only.

Where weights still move, the variance that a norm has stored for a channel differs from today's by
far more than sampling explains. Of the output of an activation, all of one sign, mean and variance
move together: log V − log v = γ(log M − log m), with one γ for the norm, between 1 (some inputs
pass the threshold more often) and 2 (all of them are larger). So stored means say how much of each
channel's excess is the weights' doing. Noise moves such means as well: by what it does to them, τ
is kept out of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from varshift._footprint.drift import restlessness
from varshift._footprint.records import NormRecord

__all__ = ["Following"]

# By experiment, over networks with ReLU before their norms: γ and how it differs between norms.
_USUAL, _SPREAD = 1.25, 0.3
_AT_REST = 1.5  # restlessness up to which means may be at rest
_LEAST_LEFT = 0.05  # of a mean or a variance, where noise seems to be nearly all of it
_LEAST_MEAN = 0.1  # in deviations: of a smaller mean no relative change can be told


@dataclass(frozen=True, eq=False)
class Following:
    """What the means of one norm's channels tell of its weights, for given noises.

    `ratio` (R,) the variance stored over that received, `stored` and `received` (R,) the means;
    `slopes` (R, K) by how much each unit of τ moves the mean, `put` (K,) the τ that is in
    `received` already; `expected` (R,) the variance of a relative move by sampling. `taus` (K,) are
    the noises that γ is for, 0 where nothing moved, with its error.
    """

    ratio: Tensor
    stored: Tensor
    received: Tensor
    slopes: Tensor
    put: Tensor
    expected: Tensor
    taus: Tensor
    gamma: float = 0.0
    gamma_se: float = 0.0

    @classmethod
    def of(
        cls, one: NormRecord, places: Sequence[int], freed: Sequence[int], known: float
    ) -> Following | None:
        """None where means have several signs, or are next to nothing: no activation stands there.

        `known`: how many times the variance of one batch that of the difference is.
        """
        others = [each for each in freed if each not in places]
        means = one.means[:, one.live] - one.slopes(others) @ one.put(others)
        stored = one.stored_mean[one.live]
        mean = means.mean(0)
        relative = mean / one.observed.sqrt()
        signs = relative.sign() * _LEAST_MEAN
        if not (bool((signs == signs[0]).all()) and bool((relative / signs > 1).all())):
            return None
        if not bool((stored * signs > 0).all()):
            return None
        put = one.put(places)
        expected = (means / mean - 1).square().sum(0) / (len(means) - 1) * known
        ratio = one.stored_var[one.live] / one.observed
        return cls(ratio, stored, mean, one.slopes(places), put, expected, put)

    @cached_property
    def mean(self) -> Tensor:
        """What would be received with those noises, (R,); never less than a part of what is."""
        moved = self.received + self.slopes @ (self.taus - self.put)
        return torch.where(moved / self.received > _LEAST_LEFT, moved, _LEAST_LEFT * self.received)

    @cached_property
    def moved(self) -> Tensor:
        """By how much the mean was another, its logarithm, (R,)."""
        return (self.stored / self.mean).log()

    @cached_property
    def column(self) -> Tensor:
        """By how much of `excess` each unit of τ is told by the means, (R, K)."""
        return self.gamma * self.slopes / self.mean[:, None]

    @cached_property
    def excess(self) -> Tensor:
        """How much of V/v − 1 is the weights' doing, as a line in τ through those noises, (R,)."""
        return self.ratio * (1 - (-self.gamma * self.moved).exp()) + self.column @ self.taus

    def fitted(self, taus: Tensor, column: Tensor, common: float, weight: Tensor) -> Following:
        """γ for those noises; `column` (R, K) what they add, `weight` (R,) one over a variance.

        Where means are as still as sampling lets them be, γ is 0.
        """
        now = replace(self, taus=taus)
        moved, noise = now.moved, 1 + common + column @ (taus - self.put)
        rest = (self.ratio / noise.clamp(min=_LEAST_LEFT)).log()
        beyond = restlessness(moved, self.expected)
        trust = max(0.0, 1 - _AT_REST / beyond) if beyond > 0 else 0.0
        strength = float((weight * moved.square()).sum()) + _SPREAD**-2
        gamma = (float((weight * moved * rest).sum()) + _USUAL * _SPREAD**-2) / strength
        return replace(now, gamma=trust * gamma, gamma_se=trust / math.sqrt(strength))
