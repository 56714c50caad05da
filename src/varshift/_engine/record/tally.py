"""Running moments of one site in one mode, kept in a few groups so that the error is known too.

A group holds samples, never parts of one: the first batches are cut along dimension 0 into more
pieces than later ones, so that even a single batch fills every group.
"""

from __future__ import annotations

import torch
from torch import Tensor

from varshift._engine.record.moments import split_moments
from varshift.theory.moments import Moments, merge_all

__all__ = ["GROUPS", "Grouped", "Tally", "pieces", "rounding"]

GROUPS = 16


def pieces(samples: int, batch: int) -> int:
    """Into how many groups the samples of a batch are shared out; `batch` counts from 0."""
    return min(samples, max(1, GROUPS // (batch + 1)))


def rounding(mean: Tensor, precision: float) -> Tensor:
    """The variance that a channel of that mean may show by rounding alone: it is dead up to it."""
    return (8 * precision * mean).square()


class Tally:
    """Adds up batches; memory does not grow with their number."""

    def __init__(self) -> None:
        self._groups: dict[int, Moments] = {}
        self._next = 0
        self._batches = 0
        self._within_count = 0
        self._within: Tensor | None = None
        self.last: Moments | None = None  # the batch taken in last
        self.precision = 0.0

    @property
    def count(self) -> int:
        """Values per channel taken in so far."""
        return sum(part.count for part in self._groups.values())

    def add(self, x: Tensor) -> bool:
        """Take in one batch, channels in dimension 1; False if its moments are not finite."""
        parts = split_moments(x, pieces(len(x), self._batches))
        for part in parts:
            group = self._next % GROUPS
            held = self._groups.get(group)
            self._groups[group] = part if held is None else held.merge(part)
            self._next += 1
        self._batches += 1
        self.precision = max(self.precision, torch.finfo(x.dtype).eps)
        whole = self.last = merge_all(parts)
        self._add_within(whole)
        return bool(torch.isfinite(whole.m2).all() and torch.isfinite(whole.mean).all())

    def _add_within(self, batch: Moments) -> None:
        if batch.count < 2:
            return
        weighted = batch.var() * batch.count
        self._within = weighted if self._within is None else self._within + weighted
        self._within_count += batch.count

    def total(self) -> Moments:
        """Moments of everything taken in."""
        return merge_all(self._groups[group] for group in sorted(self._groups))

    def within(self) -> Tensor:
        """Mean over batches of each batch's unbiased variance, weighted by its count: (C,)."""
        if self._within is None:
            return torch.full_like(self.total().mean, torch.nan)
        return self._within / self._within_count

    def groups(self) -> Grouped:
        """The groups as stacked tensors."""
        parts = [self._groups[group] for group in sorted(self._groups)]
        return Grouped(
            torch.tensor([[float(part.count)] for part in parts], dtype=torch.float64),
            torch.stack([part.mean for part in parts]),
            torch.stack([part.m2 for part in parts]),
        )


class Grouped:
    """Moments of G groups: counts (G, 1), means and M2s (G, C)."""

    def __init__(self, counts: Tensor, means: Tensor, m2s: Tensor) -> None:
        self.counts, self.means, self.m2s = counts, means, m2s

    def mean_without_each(self) -> Tensor:
        """Mean of all groups but one, for each one: (G, C)."""
        others, count = self._others()
        return others @ self.means / count

    def _others(self) -> tuple[Tensor, Tensor]:
        others = (1 - torch.eye(len(self.counts), dtype=torch.float64)) * self.counts.T
        return others, others.sum(1, keepdim=True)

    def var_without_each(self) -> Tensor:
        """Unbiased variance of all groups but one, for each one: (G, C)."""
        size = len(self.counts)
        others, count = self._others()
        mean = others @ self.means / count
        spread = (others[:, :, None] * (self.means[None] - mean[:, None]).square()).sum(1)
        inner = (1 - torch.eye(size, dtype=torch.float64)) @ self.m2s
        return (inner + spread) / (count - 1).clamp(min=1)
