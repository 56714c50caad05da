"""Mean and variance of a place in one regime, with the rows that errors are made of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from varshift._engine import Effect, Tally

__all__ = ["PlaceLanes", "Spread"]


@dataclass(frozen=True, eq=False)
class Spread:
    """Mean and variance over all samples (row 0) and without each group: (1 + G, C) each."""

    mean: Tensor
    var: Tensor

    @classmethod
    def of(cls, tally: Tally, groups: Tensor) -> Spread:
        """What a place received, and without each of these groups."""
        total = tally.total()
        mean, var = tally.without_each(groups)
        return cls(torch.cat([total.mean[None], mean]), torch.cat([total.var()[None], var]))

    def plus(self, effect: Effect) -> Spread:
        """Moved by a change of both; its rows are of the same groups."""
        return Spread(self.mean + effect.mean, self.var + effect.var)


@dataclass(frozen=True, eq=False)
class PlaceLanes:
    """A norm site or an output, every norm by the statistics of training.

    Attributes:
        signal: with noise off and the norms of training.
        noisy: with all noise on.
        own: with noise off and the norms of evaluation, where these are others and it shows.
        silent: as in training with every source silenced, where more is left than the signal and no
            draw of the pass explains it.
    """

    signal: Spread
    noisy: Spread
    own: Spread | None = None
    silent: Spread | None = None
