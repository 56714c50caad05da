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

import torch
from torch import Tensor

from varshift._footprint.drift import STILL, Drift, Others, Witness, witness
from varshift._footprint.records import NormRecord
from varshift._footprint.regression import Rows
from varshift._footprint.solving import Solved, solve
from varshift.theory import cos2_cdf, cos2_quantile

__all__ = ["AtNorm", "Estimates", "Fit", "fit", "p_value", "student_quantile"]

_ROUNDS = 5  # in which what noise does and what means tell settle with each other


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

    `common`: δ, as channels and means together have it.
    `misfit`: scatter of its channels over what sampling explains, in variances. `apart`: relative
    deviation of its channels beyond sampling. `used`: channels. `loss`: −2 log of how likely its
    channels are, up to a constant; `witness`: what its means tell of a drift of the weights.
    """

    misfit: float
    apart: float
    used: int
    loss: float
    witness: Witness
    common: float


@dataclass(frozen=True)
class Estimates:
    """All places together: by place number a `Fit`, by norm how well it agrees."""

    places: dict[int, Fit]
    norms: dict[str, AtNorm]


def fit(
    evidence: Mapping[str, NormRecord],
    places: Sequence[int],
    *,
    freed: Sequence[int] | None = None,
    drifts: Mapping[str, Drift] | None = None,
) -> Estimates:
    """One τ for each of `places`, of either sign. Every norm has two live channels or more.

    `freed`: places whose injected noise is taken out of the account first, by default `places`.
    `drifts`: what is known of each norm's common factor 1 + δ; an infinite error leaves it free.
    """
    known = drifts or dict.fromkeys(evidence, STILL)
    rows = {
        path: Rows.of(each, places, places if freed is None else freed, known[path])
        for path, each in evidence.items()
    }
    solved = solve(list(rows.values()))
    for _ in range(_ROUNDS if any(each.following for each in rows.values()) else 1):
        told = {path: each.told_by_means(solved.taus) for path, each in rows.items()}
        rows = {path: each.weighed(solved.taus) for path, each in told.items()}
        solved = solve(list(rows.values()))
    found = _fits(evidence, rows, places, solved)
    norms = {
        path: _agreement(evidence[path], each, solved.taus, found) for path, each in rows.items()
    }
    return Estimates(found, norms)


def _agreement(one: NormRecord, rows: Rows, taus: Tensor, found: Mapping[int, Fit]) -> AtNorm:
    """How well the norm agrees with those τ."""
    told = witness(
        one.stored_mean[one.live],
        one.means[:, one.live],
        one.observed,
        rows.known,
        rows.apart,
        Others(
            one.slopes(list(found)),
            torch.tensor(
                [each.tau_se for each in found.values()], dtype=torch.float64, device="cpu"
            ),
        ),
    )
    told = replace(told, follows=rows.follows)
    common = rows.drift.value + rows.common(taus)
    return AtNorm(rows.misfit(taus), rows.apart, len(rows.gap), rows.loss(taus), told, common)


def _fits(
    evidence: Mapping[str, NormRecord],
    rows: Mapping[str, Rows],
    places: Sequence[int],
    solved: Solved,
) -> dict[int, Fit]:
    moved: Tensor | float = 0.0  # by each batch, all norms together: (T, K)
    variance = torch.zeros(len(places), dtype=torch.float64, device="cpu")
    for each, own, common in zip(rows.values(), solved.influence, solved.on_drift, strict=True):
        moved = moved + each.batch @ own.T * math.sqrt(each.known)
        variance += each.akin * own.square().sum(1) * each.apart**2
        if each.following is not None:
            variance += (own @ each.following.moved * each.following.gamma_se).square()
        if 0 < each.drift.error < math.inf:
            variance += (common * each.drift.error) ** 2
    assert isinstance(moved, Tensor)
    variance += moved.square().sum(0) / (len(moved) - 1)
    return {
        place: _fit_of(evidence, place, float(tau), math.sqrt(float(square)), len(moved))
        for place, tau, square in zip(places, solved.taus, variance, strict=True)
    }


def _fit_of(
    evidence: Mapping[str, NormRecord], place: int, tau: float, se: float, batches: int
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
    share = torch.tensor([t * t / (found.dof + t * t)], dtype=torch.float64, device="cpu")
    both = 1 - float(cos2_cdf(share, found.dof + 1))
    return both / 2 if t > 0 else 1 - both / 2


def student_quantile(level: float, dof: int) -> float:
    """The t within which a share `level` of Student's t lies, two-sided."""
    value = cos2_quantile(level, dof + 1)
    return math.sqrt(dof * value / (1 - value))
