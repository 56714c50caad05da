"""What one place received under one regime: moments in a few groups, so that errors are known."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from varshift._engine.record.series import Stretch
from varshift.theory.moments import Moments

__all__ = ["GROUPS", "LEAST_BATCHES", "Grouped", "Tally", "groups_of", "pieces", "rounding"]

GROUPS = 16
LEAST_BATCHES = 3  # that share draws within: two do not show how they scatter


def pieces(samples: int, batch: int) -> int:
    """Into how many groups the samples of a batch are shared out; `batch` counts from 0."""
    return min(samples, max(1, GROUPS // (batch + 1)))


def rounding(mean: Tensor, precision: float) -> Tensor:
    """The variance that a channel of that mean may show by rounding alone: it is dead up to it."""
    return (8 * precision * mean).square()


def groups_of(*tallies: Tally) -> Tensor:
    """The groups that any of them has something of, in order: what to leave out in turn."""
    found: Tensor = torch.cat([tally.dealt for tally in tallies]).unique()
    return found


@dataclass(frozen=True, eq=False)
class Tally:
    """Moments of one place.

    Attributes:
        counts: (G, 1) values per channel in each group that has any.
        means, m2s: (G, C) float64.
        averaged: (C,) mean over batches of each batch's own unbiased variance, weighted by counts.
        precision: machine epsilon of what arrived, the coarsest.
        scattered: variance over batches of batch means and of batch variances, (C,) each; NaN where
            it was not asked for, or below two batches.
        dealt: (G,) which of the `GROUPS` groups these are, in order.
        series: where it was asked for, what came batch after batch; of several ranks the first's,
            whose buffers the others are given.
        runs: where that was asked for too, of a place that runs several times a pass: by run, how
            many values per channel it was given, and as often the mean and the unbiased variance of
            each pass, (runs, 3, C).
    """

    counts: Tensor
    means: Tensor
    m2s: Tensor
    averaged: Tensor
    precision: float
    scattered: tuple[Tensor, ...]
    dealt: Tensor
    series: tuple[Stretch, ...] = ()
    runs: Tensor | None = None

    @classmethod
    def nothing(cls, channels: int) -> Tally:
        """Of a place that was not reached."""
        none = torch.zeros(0, channels, dtype=torch.float64, device="cpu")
        unknown = torch.full((channels,), torch.nan, dtype=torch.float64, device="cpu")
        no_groups = torch.zeros(0, dtype=torch.long, device="cpu")
        return cls(none[:, :1], none, none, unknown, 0.0, (unknown, unknown), no_groups)

    @property
    def count(self) -> int:
        """Values per channel."""
        return int(self.counts.sum())

    def total(self) -> Moments:
        """Moments of everything taken in."""
        count = self.counts.sum()
        mean = (self.counts * self.means).sum(0) / count.clamp(min=1)
        spread = (self.counts * (self.means - mean).square()).sum(0)
        return Moments(self.count, mean, self.m2s.sum(0) + spread)

    def within(self) -> Tensor:
        """Mean over batches of each batch's unbiased variance, weighted by its count: (C,)."""
        return self.averaged

    def between_runs(self) -> tuple[Tensor, Tensor]:
        """Variance between the runs of a pass, of their means and of their variances, (C,) each.

        Of each run's average over all batches, less what chance gives these; 0 for a single run.
        """
        counts, *held = self.of_runs()
        if not len(counts):
            return torch.zeros_like(self.averaged), torch.zeros_like(self.averaged)
        weight, each = counts / counts.sum(0), torch.stack(held)
        spread = (weight * (each - (weight * each).sum(1, keepdim=True)).square()).sum(1)
        means, variances = (spread - self._of_chance(spread, counts)).clamp(min=0)
        return means, variances

    def of_runs(self) -> tuple[Tensor, Tensor, Tensor]:
        """By run of a pass, (runs, C): its values per channel, their mean and unbiased variance.

        Averages over all passes; no rows where it runs once.
        """
        if self.runs is None:
            return (self.averaged.new_empty(0, len(self.averaged)),) * 3
        counts = self.runs[:, 0]
        return counts, self.runs[:, 1] / counts, self.runs[:, 2] / counts

    def _of_chance(self, spread: Tensor, counts: Tensor) -> Tensor:
        """What runs alike would show of both, (2, C); `counts` are their values per channel."""
        if len(self.series) < 2:  # of one batch nothing scatters: as independent values would
            normal = torch.stack([self.averaged, 2 * self.averaged.square()])
            return (1 - 1 / len(counts)) * normal / counts.mean(0)
        # What all runs of a batch have in common moves none of them apart.
        rows = torch.stack([torch.stack([each.mean, each.var]) for each in self.series])
        scatter = torch.stack(self.scattered) - spread - rows.var(0)
        batches = sum(stretch.batches for stretch in self.series) / len(counts)
        return scatter.clamp(min=0).nan_to_num(0.0) / batches

    def groups(self) -> Grouped:
        """The groups, to leave each out in turn."""
        return Grouped(self.counts, self.means, self.m2s)

    def without_each(self, groups: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and unbiased variance without each of these groups, (len(groups), C) each.

        A group that it has nothing of takes nothing away. So places that only some batches reach
        have rows that may be compared, and the jackknife over all groups of both is right.
        """
        total, kept = self.total(), self.groups()
        mean, var = (whole.repeat(len(groups), 1) for whole in (total.mean, total.var()))
        own = torch.isin(groups, self.dealt)
        at = torch.searchsorted(self.dealt, groups[own])
        mean[own], var[own] = kept.mean_without_each()[at], kept.var_without_each()[at]
        return mean, var

    def shares(self, groups: Tensor) -> Tensor:
        """What part of all values each of these groups holds, (len(groups),)."""
        held = torch.zeros(len(groups), dtype=torch.float64, device="cpu")
        held[torch.searchsorted(groups, self.dealt)] = self.counts[:, 0]
        return held / held.sum()

    def var_of(self, chosen: Tensor, groups: Tensor) -> Tensor:
        """Unbiased variance of each choice among these groups, (R, len(groups)) bool -> (R, C).

        NaN where a choice holds fewer than two values.
        """
        own = chosen[:, torch.searchsorted(groups, self.dealt)].double()
        counts = own @ self.counts
        # About the mean of all, so that nothing is lost where it is large.
        gaps = self.means - self.total().mean
        first = own @ (self.counts * gaps)
        second = own @ (self.m2s + self.counts * gaps.square())
        spread = (second - first.square() / counts.clamp(min=1)).clamp(min=0)
        return torch.where(counts > 1, spread / (counts - 1).clamp(min=1), torch.nan)


class Grouped:
    """Moments of G groups: counts (G, 1), means and M2s (G, C)."""

    def __init__(self, counts: Tensor, means: Tensor, m2s: Tensor) -> None:
        self.counts, self.means, self.m2s = counts, means, m2s

    def mean_without_each(self) -> Tensor:
        """Mean of all groups but one, for each one: (G, C)."""
        others, count = self._others()
        return others @ self.means / count

    def _others(self) -> tuple[Tensor, Tensor]:
        others = (
            1 - torch.eye(len(self.counts), dtype=torch.float64, device="cpu")
        ) * self.counts.T
        return others, others.sum(1, keepdim=True)

    def var_without_each(self) -> Tensor:
        """Unbiased variance of all groups but one, for each one: (G, C)."""
        size = len(self.counts)
        others, count = self._others()
        mean = others @ self.means / count
        spread = (others[:, :, None] * (self.means[None] - mean[:, None]).square()).sum(1)
        inner = (1 - torch.eye(size, dtype=torch.float64, device="cpu")) @ self.m2s
        return (inner + spread) / (count - 1).clamp(min=1)
