"""Mean and variance of a place in one regime, with the rows that errors are made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from varshift._engine import Effect, Tally, rounding

__all__ = ["PlaceLanes", "SiteLanes", "Spread"]


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


@dataclass(frozen=True, eq=False)
class SiteLanes:
    """What one site received, lane by lane; the means of `within` are those of `train`.

    `clean` is with the norms of training; `own` the same with those of evaluation, where these are
    others and it shows. `silent`: as in training, every source silenced, where something else is
    left that no draw explains.
    `inherited`: variance that the moving average keeps of the scatter between batches, of the mean
    and of the variance, (C,) each. `precision`: of the numbers, for telling dead channels. `eps`:
    what the norm adds to a variance before it divides.
    """

    path: str
    stored: Spread
    within: Spread
    train: Spread
    noisy: Spread
    clean: Spread
    test: Spread
    data: Spread | None
    inherited: tuple[Tensor, Tensor]
    precision: float
    eps: float
    own: Spread | None = None
    silent: Spread | None = None

    @cached_property
    def reached(self) -> Tensor:
        """Channels that vary in evaluation; training may keep them constant. (C,) bool."""
        return self._vary(self.test, self.data or self.test)

    @cached_property
    def varying(self) -> Tensor:
        """Channels that vary in every lane, whatever is stored, (C,) bool."""
        return self.reached & self._vary(self.train, self.noisy, self.clean)

    def _vary(self, *lanes: Spread) -> Tensor:
        """Beyond the rounding of their own mean."""
        each = [lane.var[0] > rounding(lane.mean[0], self.precision) for lane in lanes]
        return torch.stack(each).all(0)
