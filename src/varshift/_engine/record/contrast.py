"""How samples differ from their twins in another pass, by place, subset and group.

Each sample of a pass belongs to a subset: what was done to it. Sums of differences are kept per
group of samples (for the jackknife) and per subset; memory does not grow with the number of
samples, and holds only subsets that reach a place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from varshift._engine.batches import Batch
from varshift._engine.normcall import NormCall
from varshift._engine.record.samples import PerSample, SampleMoments
from varshift._engine.record.tally import GROUPS, pieces
from varshift._engine.regime import Recorder

__all__ = ["Contrast", "Contrasts", "Effect"]


@dataclass(frozen=True, eq=False)
class Effect:
    """Change of mean and variance that a subset causes; axis 0 is everything, then without each
    of some groups: (1 + G, C) each.
    """

    mean: Tensor
    var: Tensor

    def less(self, other: Effect) -> Effect:
        """What is left of it without another one."""
        return Effect(self.mean - other.mean, self.var - other.var)


class Contrast:
    """Differences between samples and their twins at one place, for the subsets that reach it."""

    def __init__(self, channels: int, subsets: Sequence[int]) -> None:
        self.subsets = torch.tensor(subsets, device="cpu")
        shape = (GROUPS, len(subsets), channels)
        self._count = torch.zeros(GROUPS, len(subsets), 1, dtype=torch.float64, device="cpu")
        self._first = torch.zeros(shape, dtype=torch.float64, device="cpu")
        self._second = torch.zeros(shape, dtype=torch.float64, device="cpu")
        self._clean = torch.zeros(GROUPS, channels, dtype=torch.float64, device="cpu")
        self._seen = torch.zeros(GROUPS, 1, dtype=torch.float64, device="cpu")

    @property
    def _sums(self) -> tuple[Tensor, ...]:
        return self._count, self._first, self._second, self._clean, self._seen

    def add(
        self, groups: Tensor, subsets: Tensor, twins: SampleMoments, samples: SampleMoments
    ) -> None:
        """Take in samples: their group, their subset, and their moments in both passes."""
        self._clean.index_add_(0, groups, twins.first)
        self._seen.index_add_(0, groups, torch.ones(len(groups), 1, device="cpu").double())
        among = subsets[:, None] == self.subsets
        held = among.any(1)
        at = groups[held], among[held].long().argmax(1)
        self._count.index_put_(
            at, torch.ones(len(at[0]), 1, device="cpu").double(), accumulate=True
        )
        self._first.index_put_(at, (samples.first - twins.first)[held], accumulate=True)
        self._second.index_put_(at, (samples.second - twins.second)[held], accumulate=True)

    def join(self, other: Contrast, first: int = 0) -> None:
        """Take in what another rank has added up, its groups counted from `first`."""
        for mine, theirs in zip(self._sums, other._sums, strict=True):
            mine += theirs.roll(first, 0)

    def nothing(self) -> Contrast:
        """One of the same shape that has taken in nothing."""
        return Contrast(self._first.shape[2], self.subsets.tolist())

    def effect(self, subset: int, groups: Tensor) -> Effect | None:
        """What the subset changes on average, over everything and without each of the groups.

        None where no sample carried it, or it does not reach the place.
        """
        at = (self.subsets == subset).nonzero()[:, 0]
        if not len(at) or not float(self._count[:, at].sum()):
            return None
        count = self._count[:, at[0]]
        shift = _each(self._first[:, at[0]], count, groups)
        second = _each(self._second[:, at[0]], count, groups)
        mean = _each(self._clean, self._seen, groups)
        # Var = E[u²] − (E u)², and the clean mean is the same for every subset.
        change = second - shift * (2 * mean + shift)
        return Effect(shift, change)


class Contrasts(Recorder):
    """The contrasts of a pass with the pass before it, place by place.

    `twins` is the recorder of the other pass, which runs before this one on each batch.

    Args:
        references: by place, about what moments are taken, (C,). Places without are left out.
        deal: gives each sample of a batch its subset, (samples,), as the pass starts.
        reach: gives the subsets that are kept at a place.
        alias: what a place of this pass is called in the other, where that has another name.

    Attributes:
        at: by place, what was added up, on all ranks once they have joined.
        dealt: the subsets of the batch that runs; empty before the first.
        samples: what the samples are in this pass.
        uneven: places where some batch had rows that cannot be shared out to its samples.
    """

    def __init__(
        self,
        references: Mapping[str, Tensor],
        deal: Callable[[Batch], Tensor],
        reach: Callable[[str], Sequence[int]],
        alias: Mapping[str, str] | None = None,
    ) -> None:
        self._alias = dict(alias or {})
        self.twins, self.samples = PerSample(references), PerSample(references)
        self.dealt = torch.zeros(0, dtype=torch.long, device="cpu")
        self._deal, self._reach = deal, reach
        self._parts: dict[int, Tensor] = {}
        self._whole_batches = False
        self.restart(whole=False)

    def restart(self, *, whole: bool) -> None:
        """Forget everything; from now on samples are compared, or `whole` batches."""
        self._own: dict[str, Contrast] = {}
        self.at = self._own
        self.uneven: set[str] = set()
        self.samples.whole = self.twins.whole = whole

    def keep_batches_whole(self) -> None:
        """Deal whole batches to the groups, as a bank does."""
        self._whole_batches = True

    def begin(self, batch: Batch) -> None:
        """A pass starts."""
        self._batch = batch
        self.dealt = self._deal(batch)
        self.samples.begin(batch)

    def norm(self, call: NormCall) -> None:
        """What a norm receives."""
        self.samples.norm(call)

    def end(self, out: Any) -> None:
        """The pass is through: compare."""
        self.samples.end(out)
        twins = self.twins.found[self._batch.index]
        groups, subsets = self._groups(self._batch), self.dealt
        if self.samples.whole:
            groups, subsets = groups[:1], subsets[:1]
        for name, found in self.samples.found[self._batch.index].items():
            place = self._alias.get(name, name)
            if place in twins:
                self._add(place, groups, subsets, twins[place], found)

    def _add(
        self,
        place: str,
        groups: Tensor,
        subsets: Tensor,
        twins: SampleMoments,
        found: SampleMoments,
    ) -> None:
        if self.samples.whole:
            twins, found = twins.pooled(), found.pooled()
        if not len(twins.first) == len(found.first) == len(groups):
            self.uneven.add(place)
            return
        reached = self._reach(place)
        if reached:
            fresh = Contrast(found.first.shape[1], reached)
            self._own.setdefault(place, fresh).add(groups, subsets, twins, found)

    def _groups(self, batch: Batch) -> Tensor:
        """Group of each sample, the same as in a bank that has seen the same batches."""
        if batch.index not in self._parts:
            cut = pieces(batch.samples, len(self._parts))
            parts = 1 if self._whole_batches else cut
            start = sum(len(held) for held in self._parts.values())
            self._parts[batch.index] = (start + torch.arange(parts, device="cpu")) % GROUPS
        groups = self._parts[batch.index]
        sizes = [
            len(part)
            for part in torch.arange(batch.samples, device="cpu").tensor_split(len(groups))
        ]
        return groups.repeat_interleave(torch.tensor(sizes, device="cpu"))

    def share(self) -> Any:
        """The sums of this rank."""
        return self._own, self.uneven, len(self._parts) if self._whole_batches else 0

    def joined(self, shares: list[Any]) -> None:
        """The sums of all ranks; this rank's own go on apart, for passes that follow."""
        self.at, self.uneven = {}, set()
        first = 0
        for own, uneven, batches in shares:
            self.uneven |= uneven
            for place, contrast in own.items():
                if place not in self.at:
                    self.at[place] = contrast.nothing()
                self.at[place].join(contrast, first)
            first += batches


def _each(sums: Tensor, counts: Tensor, groups: Tensor) -> Tensor:
    """Means over everything (row 0) and over all groups but one (the other rows)."""
    sums = torch.cat([sums.sum(0, keepdim=True), sums.sum(0) - sums[groups]])
    counts = torch.cat([counts.sum(0, keepdim=True), counts.sum(0) - counts[groups]])
    return sums / counts
