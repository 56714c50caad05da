"""The channels of a norm as rows of a regression, and how well they agree with it. Numbers only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from varshift._footprint.drift import CHI2_MEDIAN, USUAL_MEMORY, Drift
from varshift._footprint.following import Following
from varshift._footprint.records import NormRecord

__all__ = ["HUBER", "Rows"]

HUBER = 2.5  # deviations from which a channel counts less
_AKIN = 6.0  # by experiment with networks trained at a constant rate
_ALONG = 0.5  # correlation of channels with their levers, where data are only alike: by experiment


@dataclass(frozen=True, eq=False)
class Rows:
    """The channels of one norm in the regression: R of them, and K places.

    `gap` (R,), `lever` (R, K), `batch` (T, R) relative deviations, `expected` (R,) the variance
    of the gap that sampling explains, `known` how many times that of one batch it is; `tilt`
    (R, K) the covariance of a channel's gap and lever by sampling; `following` what the means tell
    of each channel's weights, which is taken out of gap and lever.
    """

    excess: Tensor
    column: Tensor
    tilt: Tensor
    batch: Tensor
    expected: Tensor
    known: float
    free: bool
    drift: Drift
    following: Following | None = None
    apart: float = 0.0

    @classmethod
    def of(cls, one: NormRecord, places: Sequence[int], freed: Sequence[int], drift: Drift) -> Rows:
        batch, free = one.scatter(), one.memory is None
        known = (1.0 if one.memory is None else one.memory) + 1 / len(batch)
        expected = batch.square().sum(0) / (len(batch) - 1) * known
        excess = one.excess(freed) - drift.value
        following = None if free else Following.of(one, places, freed, known)
        return cls(
            excess,
            one.columns(places),
            one.tilts(places),
            batch,
            expected,
            known,
            free,
            drift,
            following,
        )

    @cached_property
    def gap(self) -> Tensor:
        """(R,)."""
        follows = self.following
        return self.excess if follows is None else self.excess - follows.excess

    @cached_property
    def lever(self) -> Tensor:
        """(R, K)."""
        follows = self.following
        return self.column if follows is None else self.column - follows.column

    @property
    def follows(self) -> bool:
        """Whether means have moved, and variances with them."""
        return self.following is not None and self.following.gamma != 0

    def told_by_means(self, taus: Tensor) -> Rows:
        """The same, less what the means tell when the noises are those."""
        if self.following is None:
            return self
        common = self.drift.value + self.common(taus)
        found = self.following.fitted(taus, self.column, common, self.weight)
        return replace(self, following=found)

    @cached_property
    def weight(self) -> Tensor:
        """(R,)."""
        return 1 / ((self.expected + self.expected.median()) / 2 + self.apart**2)

    @property
    def akin(self) -> float:
        """How many times fewer channels there are in truth: those that drift do so together.

        Data that are not those of training move channels along with their levers, for richer data
        vary as noise does.
        """
        if math.isinf(self.drift.error):
            return 1 + _ALONG**2 * (len(self.gap) - 1)
        return min(1 + 2 * self.apart**2 / float(self.expected.median()), _AKIN)

    def common(self, taus: Tensor) -> float:
        """What is left of δ beyond its expected value: the shrunken mean of what is unexplained."""
        if self.drift.error == 0:
            return 0.0
        rest = self.gap - self.lever @ taus
        total = self.weight.sum() + 1 / self.drift.error**2
        return float((self.weight * rest).sum() / total)

    def rest(self, taus: Tensor) -> Tensor:
        """What the noises leave unexplained, less what is common to all channels."""
        return self.gap - self.lever @ taus - self.common(taus)

    def pull(self, taus: Tensor) -> float:
        """−2 log of how likely the common factor is."""
        return (self.common(taus) / self.drift.error) ** 2 if self.drift.error else 0.0

    def misfit(self, taus: Tensor) -> float:
        """1 where the channels scatter as sampling lets them."""
        used = len(self.gap)
        found = float((self.rest(taus).square() / self.expected).median())
        return found / CHI2_MEDIAN * used / max(used - 1, 1)

    def weighed(self, taus: Tensor) -> Rows:
        """The same, knowing how far the channels scatter.

        Of a memory that nobody knows the scatter tells how short it is: torch's usual one at the
        most, since errors that channels share do not show in it, and one batch at the least.
        """
        misfit, rows = self.misfit(taus), self
        if self.free:
            batches = 1 / len(self.batch)
            known = min(max(misfit * self.known, USUAL_MEMORY + batches), 1 + batches)
            rows = replace(self, known=known, expected=self.expected * (known / self.known))
            misfit = rows.misfit(taus)
        apart = math.sqrt(float(rows.expected.median()) * max(0.0, misfit - 1))
        return replace(rows, apart=apart)

    def loss(self, taus: Tensor) -> float:
        """−2 log of how likely the channels are, up to a constant; wild ones count less.

        Their means too, where variances follow them: what moved them for one place of the noise is
        the noise itself for another.
        """
        loss = _unlikely(self.rest(taus).square() / self.expected) + self.pull(taus)
        if self.following is not None:
            loss += _unlikely(self.following.moved.square() / self.following.expected)
        return loss


def _unlikely(squares: Tensor) -> float:
    """Of deviations, squared and over their variances (R,)."""
    rest = squares.sqrt()
    bound = HUBER * max(float(rest.median()) / 0.6745, 1e-12)
    kept = torch.where(rest < bound, squares, bound * (2 * rest - bound))
    return len(rest) * math.log1p(float(kept.mean()))
