"""Weights that still moved at the end of training: what it does to all stored variances alike.

Stored statistics lag some ten steps behind the weights. Where weights still move, every V is too
large or too small by one factor 1 + δ, and no scatter of channels shows it. Three witnesses do: the
stored means, off by the root of the same factor; the scatter of single channels, since what moves
each of them also moves their average somewhat; and the scatter of the means, by far the finest
sign that a network was not at rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "CHI2_MEDIAN",
    "STILL",
    "USUAL_MEMORY",
    "Drift",
    "Others",
    "Witness",
    "drifts",
    "restlessness",
    "witness",
]

# By experiment, over small networks that were trained at a constant rate or annealed, with and
# without noise: of what single channels and means drifted, the share that all channels did alike;
# what they did at the least in a network that was not at rest, for a momentum of 0.1; and how much
# means move there, in variances that sampling explains (at rest up to 1 and seldom 1.5, else up to
# hundreds).
_ALIKE, _ALIKE_MEANS, _LEAST = 0.7, 1.5, 0.015
_AT_REST, _RESTLESS = 0.75, 1.5
_MOST = 0.1  # error of δ
CHI2_MEDIAN = 0.4549364  # of one degree of freedom
USUAL_MEMORY = 1 / 19  # the sum of squared weights at a momentum of 0.1
_LONGEST = 3.0  # a longer average lags further behind the weights, up to so much


@dataclass(frozen=True)
class Witness:
    """What one site tells of a drift.

    δ as its stored means tell it and the error of that; by how much single channels drifted
    `apart`; by how much its means `moved` beyond sampling, in deviations of its input, and how
    often that is what sampling explains; and the sum of squared weights of its memory. `follows`:
    what its means tell of the weights is taken out already (`following`), channel by channel.
    """

    scale: float
    error: float
    apart: float
    moved: float = 0.0
    restless: float = 0.0
    memory: float = USUAL_MEMORY
    follows: bool = False


@dataclass(frozen=True)
class Drift:
    """δ with its error: the factor 1 + δ common to all channels of a site."""

    value: float
    error: float


STILL = Drift(0.0, 0.0)


def witness(
    stored_mean: Tensor, means: Tensor, var: Tensor, known: float, apart: float, others: Others
) -> Witness:
    """What the means of one site tell. `means` is (T, C), `known` the variance of V's sampling.

    A regression of stored on measured means through the origin: its slope is √(1 + δ). Means that
    moved otherwise, by more than sampling explains, widen its error. Noise moves means as well,
    where an activation lies between: what an error of τ may have done is taken out.
    """
    deviation, mean = var.sqrt(), means.mean(0)
    centre, moved = mean / deviation, (stored_mean - mean) / deviation
    batch = (means - mean) / deviation
    expected = batch.square().sum(0) / (len(means) - 1) * known
    weight = 1 / (expected + expected.median() + _beyond(moved, expected))
    left = others.without(deviation, weight)
    centre, moved = left(centre), left(moved)
    finest: dict[str, Any] = {
        "apart": apart,
        "moved": math.sqrt(max(0.0, float((moved.square() - expected).median()))),
        "restless": restlessness(moved, expected),
        "memory": known - 1 / len(means),
    }
    strength = float((weight * centre.square()).sum())
    if not strength > 0:
        return Witness(0.0, math.inf, **finest)
    influence = weight * centre / strength
    slope = float((influence * moved).sum())
    rest = moved - slope * centre
    sampling = float((batch @ influence).square().sum()) / (len(means) - 1) * known
    scatter = float((influence * rest).square().sum())
    error = math.sqrt(max(sampling, scatter) + _beyond(rest, expected))
    return Witness(2 * slope, 2 * error, **finest)


@dataclass(frozen=True, eq=False)
class Others:
    """What else moves the means: `slopes` (C, K) for each unit of τ, known to `errors` (K,)."""

    slopes: Tensor
    errors: Tensor

    def without(self, deviation: Tensor, weight: Tensor) -> Callable[[Tensor], Tensor]:
        """Takes out of values (C,) what these explain, as far as the errors let them."""
        columns = self.slopes / deviation[:, None] * self.errors
        size = columns.shape[1]
        matrix = columns.T @ (weight[:, None] * columns) + torch.eye(
            size, dtype=torch.float64, device="cpu"
        )

        def left(values: Tensor) -> Tensor:
            found: Tensor = columns @ torch.linalg.solve(matrix, columns.T @ (weight * values))
            return values - found

        return left


def drifts(witnesses: Sequence[Witness]) -> list[Drift]:
    """δ of every site. A site that shows less drift than the others may well have as much."""
    apart = [one.apart**2 for one in witnesses if one.apart > 0]
    usual = median(apart) if apart else 0.0  # one whose noise stood elsewhere is not to count
    common = _spread(witnesses) + _ALIKE_MEANS**2 * fmean(one.moved**2 for one in witnesses)
    least = _LEAST * max(_lag(one) for one in witnesses)
    restless = (least * _restless(max(one.restless for one in witnesses))) ** 2
    return [
        Drift(0.0, math.sqrt(min(_ALIKE**2 * one.apart**2 + restless, _MOST**2)))
        if one.follows
        else _told(one, min(_ALIKE**2 * max(one.apart**2, usual) + common + restless, _MOST**2))
        for one in witnesses
    ]


def _restless(misfit: float) -> float:
    """0 for means as still as can be, 1 for those that certainly moved."""
    return min(max((misfit - _AT_REST) / (_RESTLESS - _AT_REST), 0.0), 1.0)


def _lag(one: Witness) -> float:
    """How far it lags behind the weights, as a multiple of what a momentum of 0.1 does."""
    return min(USUAL_MEMORY / max(one.memory, 1e-9), _LONGEST)


def _spread(witnesses: Sequence[Witness]) -> float:
    """Mean square of δ over the sites as their means tell it, less what their errors explain."""
    sharp = [one for one in witnesses if 0 < one.error < math.inf]
    if not sharp:
        return 0.0
    weights = [one.error**-4 for one in sharp]  # the variance of an error squared
    excess = [one.scale**2 - one.error**2 for one in sharp]
    total = sum(weight * more for weight, more in zip(weights, excess, strict=True))
    return max(0.0, total / sum(weights))


def _told(told: Witness, prior: float) -> Drift:
    """Normal prior of that variance, and the site's own means for as much as they know."""
    if not prior > 0:
        return STILL
    trust = prior / (prior + told.error**2)
    value = min(max(trust * told.scale, -2 * _MOST), 2 * _MOST)  # further off it is no drift
    return Drift(value, math.sqrt((1 - trust) * prior))


def restlessness(moved: Tensor, expected: Tensor) -> float:
    """By how many times means moved more than sampling explains, in variances, the median."""
    return float((moved.square() / expected.clamp(min=1e-300)).median()) / CHI2_MEDIAN


def _beyond(moved: Tensor, expected: Tensor) -> float:
    return max(0.0, float((moved.square() - expected).mean()))
