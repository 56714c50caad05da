"""Moments at every place of a model, in a few groups of samples, added up pass by pass.

A place is a norm site, or an output. All places of a pass lie side by side in one row of numbers,
so that a pass costs a few operations whatever the number of norms; passes alike wait for each other
and are taken in together, so that numbers leave an accelerator once in many passes.
A group holds samples, never parts of one: the first batches are cut along dimension 0 into more
pieces than later ones, so that even a single batch fills every group. Where the samples of a batch
share a draw, groups are of whole batches. Regimes that see the same
batches have the same groups, so what they share cancels in a jackknife.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from varshift._engine.batches import Batch
from varshift._engine.record.moments import split_moments
from varshift._engine.record.runs import Runs
from varshift._engine.record.series import BatchSeries, Stretch
from varshift._engine.record.tally import GROUPS, LEAST_BATCHES, Tally, pieces
from varshift.errors import ModelError
from varshift.theory.moments import Moments

__all__ = ["Bank"]


_SMALL = 1 << 18  # bytes of an activation that had better wait for those of other passes
_HELD = 1 << 25  # bytes that may wait

_Received = Tensor | list[Moments]


@dataclass
class _Rows:
    """Moments of G groups over D columns: counts, means and M2s (G, D), float64."""

    counts: Tensor
    means: Tensor
    m2s: Tensor

    @classmethod
    def empty(cls, groups: int, columns: int) -> _Rows:
        return cls(
            *(torch.zeros(groups, columns, dtype=torch.float64, device="cpu") for _ in range(3))
        )

    def widened(self, columns: int) -> _Rows:
        """With so many columns more, of nothing."""
        more = _Rows.empty(len(self.counts), columns)
        pairs = zip(self.parts, more.parts, strict=True)
        return _Rows(*(torch.cat(pair, 1) for pair in pairs))

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.counts, self.means, self.m2s

    def merge(self, groups: Tensor, columns: slice | Tensor, other: _Rows) -> None:
        """Chan's rule, in place, on those groups and columns. [chan1979updating]"""
        where = (groups[:, None], columns) if isinstance(columns, Tensor) else (groups, columns)
        counts, means, m2s = (part[where] for part in self.parts)
        total = counts + other.counts
        share = other.counts / total.clamp(min=1)
        gap = other.means - means
        self.counts[where] = total
        self.means[where] = means + gap * share
        self.m2s[where] = m2s + other.m2s + gap.square() * (counts * share)

    def pooled(self) -> _Rows:
        """All groups as one: (1, D)."""
        count = self.counts.sum(0, keepdim=True)
        mean = (self.counts * self.means).sum(0, keepdim=True) / count.clamp(min=1)
        spread = (self.counts * (self.means - mean).square()).sum(0, keepdim=True)
        return _Rows(count, mean, self.m2s.sum(0, keepdim=True) + spread)


@dataclass(frozen=True, eq=False)
class _Pass:
    """What a pass met, in how many pieces, from which group on, the index of its batch, and how
    many passes there were before.
    """

    met: list[tuple[str, _Received]]
    pieces: int
    start: int
    batch: int
    number: int


class Bank(Mapping[str, Tally]):
    """What the places of a model receive under one regime, added up; memory does not grow.

    A mapping from places, in the order in which they were first reached, to their tallies.

    `name` says how the model ran, for messages. With `scattered`, how batches differ is kept too.
    """

    def __init__(self, name: str, *, scattered: bool = False) -> None:
        self.name = name
        self.passes = 0
        self._scattered = scattered
        self._next = 0
        self._whole_batches = False
        self._columns: dict[str, slice] = {}
        self._precision: dict[str, float] = {}
        self._rows = _Rows.empty(GROUPS, 0)
        # count × variance, and count
        self._within = torch.zeros(2, 0, dtype=torch.float64, device="cpu")
        self._scatter = (_Rows.empty(1, 0), _Rows.empty(1, 0))  # of batch means and variances
        self._each: dict[str, Tensor] = {}  # count × variance and count (2, C), sample by sample
        self._series = BatchSeries()
        self._runs = Runs()
        self._joined_series: dict[str, list[Stretch]] = {}
        self._met: list[tuple[str, _Received]] = []
        self._bytes = 0
        self._waiting: list[_Pass] = []
        self._alike: tuple[str, ...] | None = None  # the places of those that wait
        self._of_all: Bank | None = None  # of all ranks, once they have been joined

    # One pass ------------------------------------------------------------------------------

    def begin(self, batch: Batch) -> None:
        """A pass starts: forget what an abandoned one has left, and deal its groups."""
        self._met = []
        self._batch = batch.index
        self._pieces = 1 if self._whole_batches else pieces(batch.samples, self.passes)

    def keep_whole(self) -> None:
        """Deal whole batches to the groups from now on; what was taken in stays together."""
        if self._whole_batches:
            return
        self._flush()
        self._whole_batches, self._next = True, self.passes
        held = self._rows.pooled()
        self._rows = _Rows.empty(GROUPS, held.counts.shape[1])
        for part, pooled in zip(self._rows.parts, held.parts, strict=True):
            part[:1] = pooled

    def add(self, place: str, x: Tensor) -> None:
        """What a place receives, channels in dimension 1.

        What is small is copied, for a kernel call over several passes costs hardly more than one.
        """
        size = x.numel() * x.element_size()
        if self._pieces == 1 and 0 < size < _SMALL:
            self._met.append((place, x.detach().clone()))
            self._bytes += size
        else:
            self._met.append((place, split_moments(x, min(self._pieces, len(x)))))
        precision = torch.finfo(x.dtype).eps
        self._precision[place] = max(self._precision.get(place, 0.0), precision)

    def add_each(self, place: str, x: Tensor) -> None:
        """Of a place where samples are normalised one by one: what varies within each of them."""
        rows = x.detach().flatten(2).double()
        count = rows.shape[0] * rows.shape[2]
        var = rows.var(2).mean(0).cpu() if rows.shape[2] > 1 else rows.new_zeros(rows.shape[1])
        found = torch.stack([var * count, torch.full_like(var, count)])
        self._each[place] = self._each.get(place, 0) + found

    def end(self) -> None:
        """The pass is through. Passes alike wait for each other and are taken in together."""
        places = tuple(place for place, _ in self._met)
        alike = self._pieces == 1 and len(set(places)) == len(places)
        if not (alike and places == self._alike):
            self._flush()
        self._alike = places if alike else None
        taken = _Pass(self._met, self._pieces, self._next, self._batch, self.passes)
        self._waiting.append(taken)
        self._met = []
        self.passes += 1
        self._next += self._pieces
        if not alike or len(self._waiting) == GROUPS or self._bytes > _HELD:
            self._flush()

    def _flush(self) -> None:
        """Take in the passes that wait. Raises ModelError where one held NaN or infinity."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        if len(waiting) > 1:
            calls = [
                (place, _together([one.met[at][1] for one in waiting]))
                for at, (place, _) in enumerate(waiting[0].met)
            ]
            self._take(calls, waiting)
        elif waiting:
            rounds = list(_rounds([(p, _together([held])) for p, held in waiting[0].met]))
            if self._scattered:
                self._runs.add(rounds)
            for calls in rounds:
                self._take(calls, waiting)

    def _take(self, calls: list[tuple[str, list[Moments]]], passes: list[_Pass]) -> None:
        """Calls at different places, side by side: the pieces of one pass, or several passes."""
        if not calls:
            return
        first = passes[0]
        groups = (first.start + torch.arange(first.pieces * len(passes), device="cpu")) % GROUPS
        columns = self._places(calls)
        rows = _beside([parts for _, parts in calls], len(groups))
        whole = rows if len(passes) > 1 else rows.pooled()
        self._refuse_infinite(calls, whole, passes)
        self._rows.merge(groups, columns, rows)
        several = whole.counts > 1
        var = torch.where(several, whole.m2s / (whole.counts - 1).clamp(min=1), 0.0)
        counts = torch.where(several, whole.counts, 0.0)
        self._within[:, columns] += torch.stack([(var * counts).sum(0), counts.sum(0)])
        if self._scattered:
            ones, at = several.double(), torch.tensor([0], device="cpu")
            for kept, values in zip(self._scatter, (whole.means, var), strict=True):
                several_batches = _Rows(ones, values, torch.zeros_like(values)).pooled()
                kept.merge(at, columns, several_batches)
            numbers = [held.number for held in passes]
            both = torch.stack([whole.means, var])
            self._series.add(columns, self._rows.counts.shape[1], numbers, both)

    def _places(self, calls: list[tuple[str, list[Moments]]]) -> slice | Tensor:
        """The columns of these places, new ones made at the end."""
        fresh = {p: len(parts[0].mean) for p, parts in calls if p not in self._columns}
        if fresh:
            self._widen(fresh)
        held = [self._columns[place] for place, _ in calls]
        if all(one.stop == other.start for one, other in pairwise(held)):
            return slice(held[0].start, held[-1].stop)
        return torch.cat([torch.arange(each.start, each.stop, device="cpu") for each in held])

    def _widen(self, fresh: dict[str, int]) -> None:
        """Columns for places that were never reached before."""
        at = self._rows.counts.shape[1]
        for place, width in fresh.items():
            self._columns[place] = slice(at, at + width)
            at += width
        more = sum(fresh.values())
        self._rows = self._rows.widened(more)
        self._within = torch.cat([self._within, self._within.new_zeros(2, more)], 1)
        self._scatter = (self._scatter[0].widened(more), self._scatter[1].widened(more))

    def _refuse_infinite(
        self, calls: list[tuple[str, list[Moments]]], whole: _Rows, passes: list[_Pass]
    ) -> None:
        sound = torch.isfinite(whole.m2s) & torch.isfinite(whole.means)
        if bool(sound.all()):
            return
        row = int((~sound).any(1).nonzero()[0])
        widths = [len(parts[0].mean) for _, parts in calls]
        bad = [not bool(held.all()) for held in sound[row].split(widths)]
        raise ModelError(
            f"the input of {calls[bad.index(True)][0]!r} holds NaN or infinity in the {self.name} "
            f"pass of batch {passes[row].batch}, though the batch itself is finite: the model "
            "overflows before it"
        )

    # What was found ------------------------------------------------------------------------

    def __len__(self) -> int:
        self._flush()
        return len(self._whole._columns)

    def __iter__(self) -> Iterator[str]:
        self._flush()
        return iter(self._whole._columns)

    def __getitem__(self, place: str) -> Tally:
        self._flush()
        whole = self._whole
        at = whole._columns[place]
        rows = _Rows(*(part[:, at] for part in whole._rows.parts))
        if whole._whole_batches and int((rows.counts[:, 0] > 0).sum()) < LEAST_BATCHES:
            rows = rows.pooled()
        counts, means, m2s = rows.parts
        used = counts[:, 0] > 0
        weighted, within = whole._each.get(place, whole._within[:, at])
        return Tally(
            counts=counts[used, :1],
            means=means[used],
            m2s=m2s[used],
            averaged=weighted / within,  # NaN where no batch had two values
            precision=whole._precision[place],
            scattered=tuple(_unbiased(kept, at) for kept in whole._scatter),
            dealt=used.nonzero()[:, 0],
            series=tuple(whole._series_of(place, at)),
            runs=whole._runs.at(place),
        )

    def _series_of(self, place: str, at: slice) -> list[Stretch]:
        return self._joined_series.get(place) or self._series.at(at)

    # Several ranks -------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        self._flush()
        return vars(self) | {"_of_all": None}  # what a rank shares is its own

    def joined(self, others: list[Bank]) -> None:
        """Show what all ranks have; `others` are theirs in order, this one's among them."""
        whole = Bank(self.name, scattered=self._scattered)
        whole._whole_batches = any(other._whole_batches for other in others)
        for other in others:
            whole._runs.join(other._runs)
            # Batches of several ranks are as many: each goes on where those before it ended.
            before = whole.passes if whole._whole_batches else 0
            groups = (torch.arange(GROUPS, device="cpu") + before) % GROUPS
            whole.passes += other.passes
            for place, at in other._columns.items():
                width = torch.zeros(at.stop - at.start, dtype=torch.float64, device="cpu")
                columns = whole._places([(place, [Moments(0, width, width)])])
                rows = _Rows(*(part[:, at] for part in other._rows.parts))
                whole._rows.merge(groups, columns, rows)
                whole._within[:, columns] += other._within[:, at]
                for mine, theirs in zip(whole._scatter, other._scatter, strict=True):
                    part = _Rows(*(held[:, at] for held in theirs.parts))
                    mine.merge(torch.tensor([0], device="cpu"), columns, part)
                if place in other._each:
                    whole._each[place] = whole._each.get(place, 0) + other._each[place]
                known = whole._precision.get(place, 0.0)
                whole._precision[place] = max(known, other._precision[place])
                # Ranks have series of their own; the first one's buffers are what all store.
                whole._joined_series.setdefault(place, other._series.at(at))
        self._of_all = whole

    @property
    def _whole(self) -> Bank:
        return self if self._of_all is None else self._of_all


def _together(received: list[_Received]) -> list[Moments]:
    """The moments of each of several passes, or of the pieces of one."""
    small = [x for x in received if isinstance(x, Tensor)]
    if len(small) == len(received) and len({(x.shape, x.dtype, x.device) for x in small}) == 1:
        return split_moments(torch.cat(small), len(small)) if len(small) > 1 else _of(small[0])
    return [part for held in received for part in (_of(held) if isinstance(held, Tensor) else held)]


def _of(x: Tensor) -> list[Moments]:
    return split_moments(x, 1)


def _rounds(
    met: list[tuple[str, list[Moments]]],
) -> Iterator[list[tuple[str, list[Moments]]]]:
    """The calls of a pass in rounds, none of which has a place twice: a norm may run again."""
    while met:
        first: dict[str, list[Moments]] = {}
        again = []
        for place, parts in met:
            if place in first:
                again.append((place, parts))
            else:
                first[place] = parts
        yield list(first.items())
        met = again


def _beside(calls: list[list[Moments]], pieces: int) -> _Rows:
    """The pieces of all calls as rows; a call with fewer pieces leaves its last ones empty."""
    filled = [
        [*parts, *(Moments.empty(len(parts[0].mean)) for _ in range(pieces - len(parts)))]
        for parts in calls
    ]
    widths = torch.tensor([len(parts[0].mean) for parts in calls], device="cpu")
    counts = torch.tensor(
        [[float(p.count) for p in parts] for parts in filled], device="cpu"
    ).double()
    # One copy for all of them: on an accelerator nothing waits before this.
    means = torch.cat([parts[piece].mean for piece in range(pieces) for parts in filled])
    m2s = torch.cat([parts[piece].m2 for piece in range(pieces) for parts in filled])
    both = torch.stack([means, m2s]).to("cpu", torch.float64)
    return _Rows(
        counts.T.repeat_interleave(widths, 1),
        both[0].view(pieces, -1),
        both[1].view(pieces, -1),
    )


def _unbiased(kept: _Rows, at: slice) -> Tensor:
    """Variance over batches, (C,); NaN below two."""
    count, m2 = kept.counts[0, at], kept.m2s[0, at]
    return torch.where(count > 1, m2 / (count - 1).clamp(min=1), torch.nan)
