"""From stored and measured variances to one τ with its error. Numbers only.

Per channel V = v + τ·N, so one channel gives τ = (V − v)/N; all of them together a slope through
the origin, of relative excess on relative noise energy, weighted and robust.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from varshift._footprint.drift import STILL, Drift, Witness, witness
from varshift.theory import cos2_cdf, cos2_quantile

__all__ = ["Excess", "Fit", "fit", "p_value", "student_quantile"]

_HUBER = 2.5  # deviations from which a channel counts less
_ROUNDS = 20
_DEAD = 1e-10  # variance over noise energy at which a channel is taken for constant
_LEAST_LEFT = 0.01  # of the variance, where noise seems to be nearly all of it
_CHI2_MEDIAN = 0.4549364  # of one degree of freedom


@dataclass(frozen=True, eq=False)
class Excess:
    """What one site remembers and what it receives while noise of `injected` τ is put in.

    `stored_mean` and `stored_var`: (C,). `means` and `variances`: (T, C), of T batches of
    `samples`; the variances unbiased. `energy`: (C,). `memory`: the sum of squared weights of the
    batches that the stored values average over, m/(2 − m) for momentum m.
    """

    stored_mean: Tensor
    stored_var: Tensor
    means: Tensor
    variances: Tensor
    energy: Tensor
    samples: Tensor
    injected: float
    memory: float

    def shares(self) -> Tensor:
        """What part of all samples each batch holds, (T,)."""
        return self.samples / self.samples.sum()

    def observed(self) -> Tensor:
        """Mean of the batches' unbiased variances, (C,): the estimator that is stored."""
        return self.shares() @ self.variances

    def live(self) -> Tensor:
        """Channels that vary and meet noise, (C,) bool."""
        observed = self.observed()
        finite = torch.isfinite(self.stored_var) & torch.isfinite(observed)
        dead = (observed <= _DEAD * self.energy) | (self.energy <= 0)
        return finite & (self.stored_var > 0) & ~dead


@dataclass(frozen=True)
class Fit:
    """τ of one site, its standard error with degrees of freedom, misfit, and channels used.

    `added` is the median of τ·N/v, what the noise adds to the variance; `witness` is what the site
    tells of a drift of the weights.
    """

    tau: float
    tau_se: float
    dof: int
    misfit: float
    used: int
    added: float
    witness: Witness


def fit(excess: Excess, drift: Drift = STILL) -> Fit:
    """The common τ of all live channels; there must be two or more."""
    share, live = excess.shares(), excess.live()
    used, batches = int(live.sum()), len(share)
    observed = excess.observed()[live]
    lever = excess.energy[live] / observed
    gap = excess.stored_var[live] / observed - 1 - drift.value
    # Relative deviation of each batch, scaled to batches of average size.
    batch = (excess.variances[:, live] / observed - 1) * (share * batches).sqrt()[:, None]
    known = excess.memory + 1 / batches
    expected = batch.square().sum(0) / (batches - 1) * known
    weight = 1 / (expected + expected.median())
    change, weight = _slope(gap, lever, weight)
    influence = weight * lever / (weight * lever.square()).sum()
    rest = gap - change * lever
    misfit = float((rest.square() / expected).median()) / _CHI2_MEDIAN * used / (used - 1)
    apart = float(expected.median()) * max(0.0, misfit - 1)
    variance = (
        float((batch @ influence).square().sum()) / (batches - 1) * known  # sampling
        + float(influence.square().sum()) * apart  # channels that drifted apart
        + (float(influence.sum()) * drift.error) ** 2  # all together
    )
    told = witness(
        excess.stored_mean[live], excess.means[:, live], observed, known, math.sqrt(apart)
    )
    tau = excess.injected + change
    return Fit(
        tau=tau,
        tau_se=math.sqrt(variance),
        dof=min(batches, used) - 1,
        misfit=misfit,
        used=used,
        added=tau * float((lever / (1 - excess.injected * lever).clamp(min=_LEAST_LEFT)).median()),
        witness=told,
    )


def _slope(gap: Tensor, lever: Tensor, weight: Tensor) -> tuple[float, Tensor]:
    """Weighted least squares through the origin, reweighted by Huber's rule until it stands."""
    slope, robust = 0.0, weight
    for _ in range(_ROUNDS):
        slope = float((robust * lever * gap).sum() / (robust * lever.square()).sum())
        rest = (gap - slope * lever).abs() * weight.sqrt()
        scale = float(rest.median()) / 0.6745 * _HUBER
        if scale == 0:
            break
        robust = weight * (scale / rest.clamp(min=scale))
    return slope, robust


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
