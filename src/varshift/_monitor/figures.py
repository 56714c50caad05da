"""From the last few looks to the figures of a norm: Δ, severity, their errors, and what is sure.

In numpy: for a few hundred channels a call of it costs a fifth of one of torch's, and a look must
cost next to nothing beside the forward that it takes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from varshift._check.bands import band_of, least_of, worse
from varshift._engine import Sight, rounding
from varshift.results import MonitoredNorm
from varshift.theory.halves import NORMAL, student_factor

__all__ = ["NormLook", "figures_of"]

Floats = NDArray[np.float64]
_BOTH_WAYS = 1.02  # times the median of Δ: a severity beyond it is of channels that differ in sign


@dataclass(frozen=True, eq=False)
class NormLook:
    """What one look has shown of one norm: (C,) variances in training and with noise off.

    Both are 0 of a channel that did not vary in either, or could not be read.
    """

    train: Floats
    off: Floats

    @classmethod
    def of(cls, train: Tensor, off: Sight) -> NormLook:
        """A channel that varies in neither beyond the rounding of its mean is dead."""
        least = rounding(off.mean, off.precision)
        live = (torch.maximum(train, off.var) > least) & (train > 0)  # NaN is not more than 0
        return cls(train.where(live, 0.0).numpy(), off.var.where(live, 0.0).numpy())


def figures_of(path: str, looks: Sequence[NormLook]) -> MonitoredNorm:
    """The shift over these looks: mean variance with noise off ÷ mean variance in training.

    Errors by a jackknife over looks, in logarithms: what one look less changes.
    """
    with np.errstate(all="ignore"):
        ratios = _sums([look.off for look in looks]) / _sums([look.train for look in looks])
        live = ~np.isnan(ratios).any(0)
        known = ratios if live.all() else ratios[:, live]
        shifts, severities = _medians(known), _medians(np.maximum(known, 1 / known))
        shift, severity = float(shifts[0]), float(severities[0])
        shift_se = shift * float(_error(shifts[1:]))
        severity_se = severity * float(_error(severities[1:]))
        low = _least(shift, shift_se)
        if severity > _BOTH_WAYS * worse(shift):
            low = max(low, _least_of_channels(ratios))
    return MonitoredNorm(
        path=path,
        delta=torch.from_numpy(ratios[0].copy()),
        shift=shift,
        shift_se=shift_se,
        severity=severity,
        severity_se=severity_se,
        low=low,
        looks=len(looks),
    )


def _least(shift: float, error: float) -> float:
    """What the severity surely is by the median over channels of Δ; 1 where that may be 1."""
    if not math.isfinite(error) or shift <= 0:
        return 1.0
    reach = math.exp(NORMAL * error / shift)
    return band_of(shift / reach, shift * reach)[0]


def _least_of_channels(ratios: Floats) -> float:
    """The same by what channels say by themselves: some may grow and others shrink.

    By chance alone most channels' own bands hold 1.
    """
    delta, errors = torch.from_numpy(ratios[0]), torch.from_numpy(_error(ratios[1:]))
    return least_of(delta, NORMAL * delta * errors)


def _sums(values: Sequence[Floats]) -> Floats:
    """Of all looks, and then of all but each one: (1 + S, C), or (1, C) of a single look."""
    each = np.stack(values)
    total = each.sum(0, keepdims=True)
    return np.concatenate([total, total - each]) if len(each) > 1 else total


def _error(without: Floats) -> Any:
    """The relative standard error, as a normal one, of a figure without each of S looks."""
    looks = len(without)
    if looks < 2:
        return np.full(without.shape[1:], math.nan)
    logs = np.log(without)
    spread = (looks - 1) / looks * np.square(logs - logs.mean(0)).sum(0)
    return np.sqrt(spread) * student_factor(looks - 1)


def _medians(values: Floats) -> Floats:
    """Over channels, of each row."""
    if not values.shape[1]:
        return np.full(len(values), math.nan)
    found: Floats = np.median(values, axis=1)
    return found
