"""How far the runs of a norm that is reused are from the one average that evaluation divides by."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from varshift._check.bands import least_of
from varshift._check.staleness import Stale, banded, by_means, error_of_mean
from varshift._engine import Tally
from varshift._explain.reuse import has_unlike_runs
from varshift._measure.errors import Halved
from varshift.theory.halves import student_factor
from varshift.theory.paired import student_quantile
from varshift.theory.spread import median

__all__ = ["worst_run"]


def worst_run(tally: Tally, eps: float) -> tuple[int, Stale] | None:
    """The run that surely is furthest off, counted from 0, and how far; None where runs are alike.

    Compared with the average over the runs, not with what is stored: how well that fits the average
    is another matter.
    """
    if not has_unlike_runs(tally):
        return None
    return max(enumerate(_each(tally, eps)), key=lambda found: found[1].least)


def _each(tally: Tally, eps: float) -> Iterator[Stale]:
    """Every run against the average, as `misfit` has what arrives against what is stored."""
    counts, means, variances = tally.of_runs()
    weight = counts / counts.sum(0)
    shared, within = (weight * means).sum(0), tally.within()
    live = within > 0
    halved = Halved.of(tally)
    _, errors = halved.moderate(live)
    # One run has so many times fewer values than all of them, of which the errors are.
    reach = math.sqrt(len(counts)) * _furthest(len(counts), halved.freedom)
    relative = reach * errors * tally.total().var() / within
    off = reach * error_of_mean(tally)
    unit = (within + eps).sqrt()
    for mean, var in zip(means, variances, strict=True):
        ratio = torch.where(live, (var + eps) / (within + eps), math.nan)
        distance = torch.where(live, (mean - shared).abs() / unit, math.nan)
        yield by_means(_by_variance(ratio, relative), distance, off / unit)


def _furthest(runs: int, freedom: float) -> float:
    """How many errors, meant for a normal one, the furthest of alike runs stays within.

    In 95 of 100 draws; two runs are as far from their average as each other.
    """
    if not freedom > 0:
        return math.inf
    return student_quantile(1 - 0.05 / max(1, runs - 1), freedom) / student_factor(freedom)


def _by_variance(ratio: Tensor, relative: Tensor) -> Stale:
    """By chance it is off by a part of the average, however small it has come out."""
    shift = median(ratio)
    sized = Stale(shift, median(torch.maximum(ratio, 1 / ratio)), None, None)
    least = least_of(ratio, relative * ratio.clamp(min=1))
    return banded(sized, median(relative) * max(shift, 1.0), least)
