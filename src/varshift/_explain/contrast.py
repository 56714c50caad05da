"""What a subset of the noise does at one place, against the clean twins of the same samples.

Sums of differences are kept per group of samples (for the jackknife) and per subset; memory does
not grow with the number of samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from varshift._engine.record.tally import GROUPS

__all__ = ["Contrast", "Effect", "SampleMoments", "sample_moments"]


@dataclass(frozen=True, eq=False)
class SampleMoments:
    """First and second moment of each sample about a fixed reference: (samples, C) each."""

    first: Tensor
    second: Tensor


def sample_moments(x: Tensor, samples: int, reference: Tensor) -> SampleMoments | None:
    """Moments of each sample's own values about `reference` (C,); x has channels in dimension 1.

    None where the rows of `x` cannot be shared out to the samples.
    """
    if len(x) % samples:
        return None
    wide = x.detach().float() if x.dtype in (torch.float16, torch.bfloat16) else x.detach()
    reference = reference.to(x.device, wide.dtype)
    centred = (wide - reference.view(1, -1, *(1,) * (x.ndim - 2))).reshape(*x.shape[:2], -1)
    first, second = centred.mean(2), centred.square().mean(2)
    shape = (samples, len(x) // samples, x.shape[1])
    return SampleMoments(
        *(value.reshape(shape).double().mean(1).cpu() for value in (first, second))
    )


@dataclass(frozen=True, eq=False)
class Effect:
    """Change of mean and variance that a subset causes; axis 0 is everything, then without each
    group: (1 + G, C) each.
    """

    mean: Tensor
    var: Tensor


class Contrast:
    """Differences between directed samples and their clean twins, at one place."""

    def __init__(self, channels: int, subsets: int) -> None:
        shape = (GROUPS, subsets, channels)
        self._count = torch.zeros(GROUPS, subsets, 1, dtype=torch.float64)
        self._first = torch.zeros(shape, dtype=torch.float64)
        self._second = torch.zeros(shape, dtype=torch.float64)
        self._clean = torch.zeros(GROUPS, channels, dtype=torch.float64)
        self._seen = torch.zeros(GROUPS, 1, dtype=torch.float64)

    def add(
        self, groups: Tensor, dealt: Tensor, clean: SampleMoments, noisy: SampleMoments
    ) -> None:
        """Take in samples: their group, their subset, and their moments in both passes."""
        place = (groups, dealt)
        self._count.index_put_(place, torch.ones(len(groups), 1).double(), accumulate=True)
        self._first.index_put_(place, noisy.first - clean.first, accumulate=True)
        self._second.index_put_(place, noisy.second - clean.second, accumulate=True)
        self._clean.index_add_(0, groups, clean.first)
        self._seen.index_add_(0, groups, torch.ones(len(groups), 1).double())

    @property
    def samples(self) -> int:
        """How many samples (or whole batches) were compared."""
        return int(self._seen.sum())

    def effect(self, subset: int) -> Effect | None:
        """What the subset changes on average; None where no sample carried it."""
        if not float(self._count[:, subset].sum()):
            return None
        shift = _each(self._first[:, subset], self._count[:, subset])
        second = _each(self._second[:, subset], self._count[:, subset])
        mean = _each(self._clean, self._seen)
        # Var = E[u²] − (E u)², and the clean mean is the same for every subset.
        change = second - shift * (2 * mean + shift)
        return Effect(shift, change)


def _each(sums: Tensor, counts: Tensor) -> Tensor:
    """Means over everything (row 0) and over all groups but one (the other rows)."""
    sums = torch.cat([sums.sum(0, keepdim=True), sums.sum(0) - sums])
    counts = torch.cat([counts.sum(0, keepdim=True), counts.sum(0) - counts])
    return sums / counts
