"""All channels of all norms as one weighted, robust regression. Numbers only.

The common factor 1 + δ of a norm is a column of ones with a prior, which is projected out: what is
left of a column is its deviation from the (shrunken) weighted mean.
"""

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

__all__ = ["Rows", "Solved", "solve"]

_HUBER = 2.5  # deviations from which a channel counts less
_ROUNDS = 20
_AKIN = 6.0  # by experiment with networks trained at a constant rate
_ALONG = 0.5  # correlation of channels with their levers, where data are only alike: by experiment
_STANDS = 1e-10  # relative, of τ between two rounds
_RIDGE = 1e-12  # keeps a column of nothing solvable


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

    @property
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
    bound = _HUBER * max(float(rest.median()) / 0.6745, 1e-12)
    kept = torch.where(rest < bound, squares, bound * (2 * rest - bound))
    return len(rest) * math.log1p(float(kept.mean()))


@dataclass(frozen=True, eq=False)
class Solved:
    """τ (K,), and how each follows the gap of every channel (K, R) and each norm's drift (K,)."""

    taus: Tensor
    influence: list[Tensor]
    on_drift: list[Tensor]


def solve(rows: list[Rows]) -> Solved:
    """Weighted least squares, reweighted by Huber's rule until it stands."""
    weights = [each.weight for each in rows]
    robust, taus = weights, torch.zeros(rows[0].lever.shape[1], dtype=torch.float64, device="cpu")
    for _ in range(_ROUNDS):
        last, taus = taus, _least_squares(rows, robust)
        if len(taus) == 0 or float((taus - last).abs().max()) < _STANDS * float(taus.abs().max()):
            break
        robust = [_tamed(each, weight, taus) for each, weight in zip(rows, weights, strict=True)]
    return _influence(rows, robust, taus)


def _tamed(rows: Rows, weight: Tensor, taus: Tensor) -> Tensor:
    rest = rows.rest(taus).abs() * weight.sqrt()
    scale = float(rest.median()) / 0.6745 * _HUBER
    return weight if scale == 0 else weight * (scale / rest.clamp(min=scale))


def _centred(rows: Rows, weight: Tensor, values: Tensor) -> Tensor:
    if rows.drift.error == 0:
        return values
    total = weight.sum() + 1 / rows.drift.error**2
    mean: Tensor = weight @ values / total
    return values - mean


def _normal(rows: list[Rows], weights: list[Tensor]) -> Tensor:
    places = rows[0].lever.shape[1]
    matrix = torch.zeros(places, places, dtype=torch.float64, device="cpu")
    for each, weight in zip(rows, weights, strict=True):
        matrix += each.lever.T @ (weight[:, None] * _centred(each, weight, each.lever))
    size = matrix.diagonal().max().clamp(min=1e-300) if places else 0.0
    return matrix + _RIDGE * size * torch.eye(places, dtype=torch.float64, device="cpu")


def _least_squares(rows: list[Rows], weights: list[Tensor]) -> Tensor:
    right = torch.zeros(rows[0].lever.shape[1], dtype=torch.float64, device="cpu")
    for each, weight in zip(rows, weights, strict=True):
        right += each.lever.T @ (weight * _centred(each, weight, each.gap))
        if each.drift.error:  # only where the pattern is evidence, and levers hardly differ
            right -= weight @ each.tilt
    found: Tensor = torch.linalg.solve(_normal(rows, weights), right)
    return found


def _influence(rows: list[Rows], weights: list[Tensor], taus: Tensor) -> Solved:
    inverse = torch.linalg.inv(_normal(rows, weights))
    influence, on_drift = [], []
    for each, weight in zip(rows, weights, strict=True):
        own = (weight[:, None] * _centred(each, weight, each.lever)) @ inverse  # (R, K)
        influence.append(own.T)
        on_drift.append(own.sum(0))
    return Solved(taus, influence, on_drift)
