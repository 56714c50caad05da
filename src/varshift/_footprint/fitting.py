"""From stored and measured variances to one τ for each place, with its error. Numbers only.

Per channel V = v + Σ τ·N over the places whose noise the norm meets, so that all channels of all
norms together are one regression: of relative excess V/v − 1 on relative noise energy N/v, weighted
by how far each channel scatters, robust, and with one factor 1 + δ for each norm, of which more or
less is known beforehand: weights that still moved (`drift`), or data unlike those of training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from varshift._footprint.drift import STILL, Drift, Others, Witness, witness
from varshift._footprint.passes import Lever
from varshift.theory import cos2_cdf, cos2_quantile

__all__ = ["AtNorm", "Evidence", "Fit", "Fitted", "fit", "p_value", "student_quantile"]

_HUBER = 2.5  # deviations from which a channel counts less
_ROUNDS = 20
_DEAD = 1e-10  # variance over the stored one, or noise energy, at which a channel is constant
_LEAST_LEFT = 0.01  # of the variance, where noise seems to be nearly all of it
_CHI2_MEDIAN = 0.4549364  # of one degree of freedom
_AKIN = 2.0  # channels that drift do so together somewhat: as if there were so many times fewer
_USUAL = 1 / 19  # the sum of squared weights at a momentum of 0.1
_STANDS = 1e-10  # relative, of τ between two rounds
_RIDGE = 1e-12  # keeps a column of nothing solvable


@dataclass(frozen=True, eq=False)
class Evidence:
    """What one norm remembers and what it receives while noise is put in.

    Attributes:
        stored_mean, stored_var: (C,).
        means, variances: (T, C), of T batches of `samples`; the variances unbiased.
        levers: by the number of a place, what its noise does; N/v, since noise further up changes v
            as a whole, and N with it.
        injected: by the same numbers, the τ that was put in.
        memory: the sum of squared weights of the batches that the stored values average over,
            m/(2 − m) for momentum m; None where nobody knows.
    """

    stored_mean: Tensor
    stored_var: Tensor
    means: Tensor
    variances: Tensor
    samples: Tensor
    levers: dict[int, Lever]
    injected: dict[int, float]
    memory: float | None

    @cached_property
    def live(self) -> Tensor:
        """Channels that vary and meet noise, (C,) bool."""
        observed = self.share @ self.variances
        finite = torch.isfinite(self.stored_var) & torch.isfinite(observed)
        for lever in self.levers.values():
            finite &= lever.var.abs() < 1 / _DEAD
        return finite & (self.stored_var > 0) & (observed > _DEAD * self.stored_var)

    @cached_property
    def share(self) -> Tensor:
        """What part of all samples each batch holds, (T,)."""
        return self.samples / self.samples.sum()

    @cached_property
    def observed(self) -> Tensor:
        """Mean of the batches' unbiased variances, the estimator that is stored, (live,)."""
        return (self.share @ self.variances)[self.live]

    @cached_property
    def quiet(self) -> Tensor:
        """What share of the variance would be left without the noise put in, (live,)."""
        put = [self.levers[each].var[self.live] * tau for each, tau in self.injected.items()]
        return 1 / (1 + sum(put, torch.zeros_like(self.observed))).clamp(min=_LEAST_LEFT)

    def columns(self, places: Sequence[int]) -> Tensor:
        """N over the variance received, (live, places); 0 where the norm does not meet one."""
        found = torch.zeros(len(self.observed), len(places), dtype=torch.float64)
        for index, place in enumerate(places):
            if place in self.levers:
                found[:, index] = self.levers[place].var[self.live] * self.quiet
        return found

    def slopes(self, places: Sequence[int]) -> Tensor:
        """By how much each unit of τ of those places moves the mean, (live, places)."""
        found = torch.zeros(len(self.observed), len(places), dtype=torch.float64)
        for index, place in enumerate(places):
            if place in self.levers:
                found[:, index] = self.levers[place].mean[self.live]
        return found

    def excess(self, freed: Sequence[int]) -> Tensor:
        """V/v − 1 as if no noise had been put in at the places `freed`: what theirs explains."""
        taus = torch.tensor([self.injected.get(each, 0.0) for each in freed], dtype=torch.float64)
        return self.stored_var[self.live] / self.observed - 1 + self.columns(freed) @ taus

    def scatter(self) -> Tensor:
        """Relative deviation of each batch, scaled to batches of average size, (T, live)."""
        size = (self.share * len(self.share)).sqrt()
        return (self.variances[:, self.live] / self.observed - 1) * size[:, None]


@dataclass(frozen=True)
class Fit:
    """τ of one place, its standard error with degrees of freedom, and what it adds.

    `added` is the median of τ·N/v at the first norm that meets it, v without noise.
    """

    tau: float
    tau_se: float
    dof: int
    added: float


@dataclass(frozen=True)
class AtNorm:
    """How well one norm agrees with the fit.

    `misfit`: scatter of its channels over what sampling explains, in variances. `apart`: relative
    deviation of its channels beyond sampling. `used`: channels. `loss`: −2 log of how likely its
    channels are, up to a constant; `witness`: what its means tell of a drift of the weights.
    """

    misfit: float
    apart: float
    used: int
    loss: float
    witness: Witness


@dataclass(frozen=True)
class Fitted:
    """All places together: by place number a `Fit`, by norm how well it agrees."""

    places: dict[int, Fit]
    norms: dict[str, AtNorm]


def fit(
    evidence: Mapping[str, Evidence],
    places: Sequence[int],
    *,
    freed: Sequence[int] | None = None,
    drifts: Mapping[str, Drift] | None = None,
) -> Fitted:
    """One τ for each of `places`, of either sign. Every norm has two live channels or more.

    `freed`: places whose injected noise is taken out of the account first, by default `places`.
    `drifts`: what is known of each norm's common factor 1 + δ; an infinite error leaves it free.
    """
    known = drifts or dict.fromkeys(evidence, STILL)
    rows = {
        path: _Rows.of(each, places, places if freed is None else freed, known[path])
        for path, each in evidence.items()
    }
    solved = _solve(list(rows.values()))
    rows = {path: each.weighed(solved.taus) for path, each in rows.items()}
    solved = _solve(list(rows.values()))
    found = _fits(evidence, rows, places, solved)
    norms = {
        path: _agreement(evidence[path], each, solved.taus, found) for path, each in rows.items()
    }
    return Fitted(found, norms)


@dataclass(frozen=True, eq=False)
class _Rows:
    """The channels of one norm in the regression: R of them, and K places.

    `gap` (R,), `lever` (R, K), `batch` (T, R) relative deviations, `expected` (R,) the variance
    of the gap that sampling explains, `known` how many times that of one batch it is.
    """

    gap: Tensor
    lever: Tensor
    batch: Tensor
    expected: Tensor
    known: float
    free: bool
    drift: Drift
    apart: float = 0.0

    @classmethod
    def of(cls, one: Evidence, places: Sequence[int], freed: Sequence[int], drift: Drift) -> _Rows:
        batch, free = one.scatter(), one.memory is None
        known = (1.0 if one.memory is None else one.memory) + 1 / len(batch)
        expected = batch.square().sum(0) / (len(batch) - 1) * known
        gap = one.excess(freed) - drift.value
        return cls(gap, one.columns(places), batch, expected, known, free, drift)

    @property
    def weight(self) -> Tensor:
        """(R,)."""
        return 1 / ((self.expected + self.expected.median()) / 2 + self.apart**2)

    def rest(self, taus: Tensor) -> Tensor:
        """What the noises leave unexplained, less what is common to all channels."""
        rest = self.gap - self.lever @ taus
        if self.drift.error == 0:
            return rest
        prior = 1 / self.drift.error**2
        common = (self.weight * rest).sum() / (self.weight.sum() + prior)
        return rest - common

    def pull(self, taus: Tensor) -> float:
        """−2 log of how likely the common factor is."""
        rest = self.gap - self.lever @ taus
        common = float((rest - self.rest(taus)).mean())
        return (common / self.drift.error) ** 2 if self.drift.error else 0.0

    def misfit(self, taus: Tensor) -> float:
        """1 where the channels scatter as sampling lets them."""
        used = len(self.gap)
        found = float((self.rest(taus).square() / self.expected).median())
        return found / _CHI2_MEDIAN * used / max(used - 1, 1)

    def weighed(self, taus: Tensor) -> _Rows:
        """The same, knowing how far the channels scatter.

        Of a memory that nobody knows the scatter tells how short it is: torch's usual one at the
        most, since errors that channels share do not show in it, and one batch at the least.
        """
        misfit, rows = self.misfit(taus), self
        if self.free:
            batches = 1 / len(self.batch)
            known = min(max(misfit * self.known, _USUAL + batches), 1 + batches)
            rows = replace(self, known=known, expected=self.expected * (known / self.known))
            misfit = rows.misfit(taus)
        apart = math.sqrt(float(rows.expected.median()) * max(0.0, misfit - 1))
        return replace(rows, apart=apart)

    def loss(self, taus: Tensor) -> float:
        """−2 log of how likely the channels are, up to a constant; wild ones count less."""
        rest = (self.rest(taus).square() / self.expected).sqrt()
        bound = _HUBER * max(float(rest.median()) / 0.6745, 1e-12)
        kept = torch.where(rest < bound, rest.square(), bound * (2 * rest - bound))
        return len(rest) * math.log1p(float(kept.mean())) + self.pull(taus)


def _agreement(one: Evidence, rows: _Rows, taus: Tensor, found: Mapping[int, Fit]) -> AtNorm:
    """How well the norm agrees with those τ."""
    told = witness(
        one.stored_mean[one.live],
        one.means[:, one.live],
        one.observed,
        rows.known,
        rows.apart,
        Others(
            one.slopes(list(found)),
            torch.tensor([each.tau_se for each in found.values()], dtype=torch.float64),
        ),
    )
    return AtNorm(rows.misfit(taus), rows.apart, len(rows.gap), rows.loss(taus), told)


@dataclass(frozen=True, eq=False)
class _Solved:
    """τ (K,), and how each follows the gap of every channel (K, R) and each norm's drift (K,)."""

    taus: Tensor
    influence: list[Tensor]
    on_drift: list[Tensor]


def _solve(rows: list[_Rows]) -> _Solved:
    """Weighted least squares, reweighted by Huber's rule until it stands."""
    weights = [each.weight for each in rows]
    robust, taus = weights, torch.zeros(rows[0].lever.shape[1], dtype=torch.float64)
    for _ in range(_ROUNDS):
        last, taus = taus, _least_squares(rows, robust)
        if len(taus) == 0 or float((taus - last).abs().max()) < _STANDS * float(taus.abs().max()):
            break
        robust = [_tamed(each, weight, taus) for each, weight in zip(rows, weights, strict=True)]
    return _influence(rows, robust, taus)


def _tamed(rows: _Rows, weight: Tensor, taus: Tensor) -> Tensor:
    rest = rows.rest(taus).abs() * weight.sqrt()
    scale = float(rest.median()) / 0.6745 * _HUBER
    return weight if scale == 0 else weight * (scale / rest.clamp(min=scale))


# The common factor of a norm is a column of ones with a prior, which is projected out: what is left
# of a column is its deviation from the (shrunken) weighted mean.
def _centred(rows: _Rows, weight: Tensor, values: Tensor) -> Tensor:
    if rows.drift.error == 0:
        return values
    total = weight.sum() + 1 / rows.drift.error**2
    mean: Tensor = weight @ values / total
    return values - mean


def _normal(rows: list[_Rows], weights: list[Tensor]) -> Tensor:
    places = rows[0].lever.shape[1]
    matrix = torch.zeros(places, places, dtype=torch.float64)
    for each, weight in zip(rows, weights, strict=True):
        matrix += each.lever.T @ (weight[:, None] * _centred(each, weight, each.lever))
    size = matrix.diagonal().max().clamp(min=1e-300) if places else 0.0
    return matrix + _RIDGE * size * torch.eye(places, dtype=torch.float64)


def _least_squares(rows: list[_Rows], weights: list[Tensor]) -> Tensor:
    right = torch.zeros(rows[0].lever.shape[1], dtype=torch.float64)
    for each, weight in zip(rows, weights, strict=True):
        right += each.lever.T @ (weight * _centred(each, weight, each.gap))
    found: Tensor = torch.linalg.solve(_normal(rows, weights), right)
    return found


def _influence(rows: list[_Rows], weights: list[Tensor], taus: Tensor) -> _Solved:
    inverse = torch.linalg.inv(_normal(rows, weights))
    influence, on_drift = [], []
    for each, weight in zip(rows, weights, strict=True):
        own = (weight[:, None] * _centred(each, weight, each.lever)) @ inverse  # (R, K)
        influence.append(own.T)
        on_drift.append(own.sum(0))
    return _Solved(taus, influence, on_drift)


def _fits(
    evidence: Mapping[str, Evidence],
    rows: Mapping[str, _Rows],
    places: Sequence[int],
    solved: _Solved,
) -> dict[int, Fit]:
    moved: Tensor | float = 0.0  # by each batch, all norms together: (T, K)
    variance = torch.zeros(len(places), dtype=torch.float64)
    for each, own, common in zip(rows.values(), solved.influence, solved.on_drift, strict=True):
        moved = moved + each.batch @ own.T * math.sqrt(each.known)
        variance += _AKIN * own.square().sum(1) * each.apart**2
        if 0 < each.drift.error < math.inf:
            variance += (common * each.drift.error) ** 2
    assert isinstance(moved, Tensor)
    variance += moved.square().sum(0) / (len(moved) - 1)
    return {
        place: _fit_of(evidence, place, float(tau), math.sqrt(float(square)), len(moved))
        for place, tau, square in zip(places, solved.taus, variance, strict=True)
    }


def _fit_of(
    evidence: Mapping[str, Evidence], place: int, tau: float, se: float, batches: int
) -> Fit:
    home = next(each for each in evidence.values() if place in each.levers)
    lever = home.levers[place].var[home.live]
    dof = min(batches, len(home.observed)) - 1
    return Fit(tau, se, dof, tau * float(lever.median()))


# t²/(ν + t²) of Student's t with ν degrees of freedom is cos²θ of a random direction in ν + 1
# dimensions: both are Beta(1/2, ν/2).
def p_value(found: Fit) -> float:
    """One-sided: how often τ = 0 would give an estimate as large, by Student's t."""
    if found.tau_se == 0:
        return 0.0 if found.tau > 0 else 1.0
    t = found.tau / found.tau_se
    share = torch.tensor([t * t / (found.dof + t * t)], dtype=torch.float64)
    both = 1 - float(cos2_cdf(share, found.dof + 1))
    return both / 2 if t > 0 else 1 - both / 2


def student_quantile(level: float, dof: int) -> float:
    """The t within which a share `level` of Student's t lies, two-sided."""
    value = cos2_quantile(level, dof + 1)
    return math.sqrt(dof * value / (1 - value))
