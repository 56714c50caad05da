"""A norm that runs several times a pass: whether its runs are what makes one average nobody's."""

from __future__ import annotations

import torch

from varshift._engine import Tally
from varshift._explain.verdict import LEAST
from varshift.theory.spread import median

__all__ = ["has_unlike_runs"]


def has_unlike_runs(train: Tally) -> bool:
    """Whether runs differ further than batches do.

    They displace what the norm passes on, each with its own mean and variance. Statistics for each
    run would take just that away.
    """
    if train.runs is None:
        return False
    var = train.total().var()
    within = torch.where(var > 0, train.within(), torch.nan)
    means, variances = train.between_runs()
    by_mean = means / within
    by_runs = torch.hypot(by_mean.sqrt(), variances.sqrt() / within / 2)
    by_batches = (var / within - 1 - by_mean).clamp(min=0).sqrt()
    return median(by_runs) > max(median(by_batches), LEAST)
