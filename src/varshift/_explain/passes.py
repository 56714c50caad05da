"""The two blame passes over one batch: its clean twin, and each sample with its own sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine.batches import Batch, Forward, call
from varshift._engine.borrow.model import Buffers, set_training
from varshift._engine.borrow.rng import rng_state, set_rng_state
from varshift._engine.control import Control, Key, Meeting, along_samples, directed
from varshift._engine.normcall import Fixed, NormCall
from varshift._engine.record.tally import GROUPS, pieces
from varshift._explain.contrast import Contrast, Effect, SampleMoments, sample_moments
from varshift._explain.design import Design
from varshift._explain.lanes import Lane, outputs_of

__all__ = ["BlamePasses"]

Flags = list[tuple[nn.Module, bool]]
_SAME = 1e-3  # of a deviation: far above rounding, far below any shift worth a word
_WIDE = 8192  # features of an output beyond which it is left out


@dataclass
class BlamePasses:
    """Runs the clean and the directed pass and adds up their differences, place by place.

    `sources` are those that can be silenced; `noisy`: there is noise, whether or not it can be.
    """

    model: nn.Module
    forward: Forward | None
    on: Flags
    off: Flags
    fixed: Mapping[str, Fixed]
    references: Mapping[str, Tensor]
    names: Mapping[Key, str]
    sources: list[str]
    noisy: bool = True
    clean: Lane = field(default_factory=lambda: Lane("noise-free"))
    contrasts: dict[str, Contrast] = field(default_factory=dict)
    silenced: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def prepare(self, batch: Batch) -> None:
        """Find out on one batch what can be silenced and whether samples keep to themselves."""
        self.notes.clear()
        self._buffers = Buffers(self.model)
        self._batches = self._next = 0
        self.design = Design(self.sources, nobody=False, whole_batches=False)
        if not self.noisy:
            return
        start = rng_state()
        clean = self._run(batch, self.off, None, None)
        nobody = torch.full((batch.samples,), self.design.none)
        calm = self._run(batch, self.on, nobody, start)
        half = nobody.clone()
        half[batch.samples // 2 :] = self.design.all
        mixed = self._run(batch, self.on, half, start)
        apart = self._apart(calm, mixed, batch.samples)
        rest = not apart or self._differ(clean, calm, slice(None))
        self.design = Design(self.sources, nobody=rest, whole_batches=not apart)
        if not apart:
            self.notes.append(
                "the samples of a batch act on each other (or their rows cannot be told apart), so "
                "whole batches carry the subsets of sources, and errors are over batches"
            )

    def add(self, batch: Batch, *, first_round: bool) -> None:
        """Run one batch both ways."""
        clean = self._run(batch, self.off, None, None, tallied=first_round)
        if not self.noisy:
            return
        dealt = self.design.deal(batch.samples)
        noisy = self._run(batch, self.on, dealt, None)
        groups = self._groups(batch.samples)
        for place, moments in noisy.items():
            if place in clean and place in self.references:
                self._contrast(place).add(*self._unit(groups, dealt), clean[place], moments)

    def effect(self, place: str, subset: int) -> Effect | None:
        """What a subset of the sources changes at a place; None where no sample carried it."""
        contrast = self.contrasts.get(place)
        return None if contrast is None else contrast.effect(subset)

    def _contrast(self, place: str) -> Contrast:
        if place not in self.contrasts:
            channels = len(self.references[place])
            self.contrasts[place] = Contrast(channels, self.design.subsets)
        return self.contrasts[place]

    def _unit(self, groups: Tensor, dealt: Tensor) -> tuple[Tensor, Tensor]:
        whole = self.design.whole_batches
        return (groups[:1], dealt[:1]) if whole else (groups, dealt)

    def _groups(self, samples: int) -> Tensor:
        """Group of each sample, the same as in every tally."""
        parts = pieces(samples, self._batches)
        sizes = torch.tensor([len(part) for part in torch.arange(samples).tensor_split(parts)])
        groups = (self._next + torch.arange(parts)) % GROUPS
        self._batches, self._next = self._batches + 1, self._next + parts
        return groups.repeat_interleave(sizes)

    def _run(
        self,
        batch: Batch,
        flags: Flags,
        dealt: Tensor | None,
        start: Any,
        *,
        tallied: bool = False,
    ) -> dict[str, SampleMoments]:
        """One pass with the training statistics; `dealt` says which sources each sample carries."""
        if start is not None:
            set_rng_state(start)
        seen = _Seen(self, batch, tallied)
        if tallied:
            self.clean.tallies.begin(batch)
        set_training(flags)
        with directed(
            self.model,
            batch.value,
            names=self.names,
            blend=self._blend(dealt, batch.samples),
            on_norm=seen.norm,
        ) as mode:
            out = call(self.model, batch, self.forward)
        self._buffers.restore()
        for name, value in outputs_of(out, batch.samples):
            seen.take_output(name, value)
        if tallied:
            self.clean.tallies.end()
        if dealt is not None:
            self._remember(mode)
        return seen.moments()

    def _blend(self, dealt: Tensor | None, samples: int) -> Callable[[Meeting], Tensor]:
        def blend(meeting: Meeting) -> Tensor:
            silent = meeting.silent
            if dealt is None or silent is None or meeting.name not in self.sources:
                return meeting.noisy
            active = self.design.active(meeting.name, dealt)
            if bool(active.all()) or not bool(active.any()):
                return meeting.noisy if bool(active[0]) else silent
            rows = along_samples(active.to(silent.device), samples, silent)
            # Rows that cannot be told apart: everything at once, which `prepare` will notice.
            return meeting.noisy if rows is None else torch.where(rows, meeting.noisy, silent)

        return blend

    def _remember(self, mode: Control) -> None:
        self.silenced.update(mode.methods)
        if mode.strangers:
            self.notes.append("some draws of the blame pass belong to no source of the first pass")

    def _apart(
        self, calm: dict[str, SampleMoments], mixed: dict[str, SampleMoments], samples: int
    ) -> bool:
        """Whether the first half of a batch stays as it is when the other half gets noise."""
        whole = all(len(moments.first) == samples for moments in mixed.values())
        if samples < 2 or not whole or calm.keys() != mixed.keys():
            return False
        return not self._differ(calm, mixed, slice(0, samples // 2))

    def _differ(
        self, one: dict[str, SampleMoments], other: dict[str, SampleMoments], rows: slice
    ) -> bool:
        for place in one.keys() & other.keys():
            deviation = self._deviation(place)
            first = (one[place].first[rows] - other[place].first[rows]).abs() / deviation
            second = (one[place].second[rows] - other[place].second[rows]).abs()
            if bool((first > _SAME).any()) or bool(
                (second > 10 * _SAME * deviation.square()).any()
            ):
                return True
        return False

    def _deviation(self, place: str) -> Tensor:
        fixed = self.fixed.get(place)
        if fixed is None:
            return torch.ones(len(self.references[place]), dtype=torch.float64)
        return fixed.var.clamp(min=1e-12 * float(fixed.var.max().clamp(min=1e-30))).sqrt()


class _Seen:
    """Moments per sample of every place in one pass, runs of a reused norm averaged."""

    def __init__(self, passes: BlamePasses, batch: Batch, tallied: bool) -> None:
        self._passes, self._batch, self._tallied = passes, batch, tallied
        self._found: dict[str, list[SampleMoments]] = {}

    def norm(self, call: NormCall) -> NormCall | None:
        """A norm: see its input, and fix its statistics."""
        self.take(call.path, call.x)
        held = self._passes.fixed.get(call.path)
        return None if held is None else call.fixed(held)

    def take(self, place: str, x: Tensor) -> None:
        """The input of a place."""
        if self._tallied:
            self._passes.clean.tallies.add(place, x)
        reference = self._passes.references.get(place)
        if reference is None or not self._passes.noisy:
            return
        units = 1 if self._passes.design.whole_batches else self._batch.samples
        found = sample_moments(x, units, reference)
        if found is None:
            found = sample_moments(x, 1, reference)
        assert found is not None
        self._found.setdefault(place, []).append(found)

    def take_output(self, name: str, value: Tensor) -> None:
        """An output of the model."""
        if value.shape[1] <= _WIDE:
            self.take(name, value)
        else:
            self._passes.notes.append(f"{name}: {value.shape[1]} features, left out")

    def moments(self) -> dict[str, SampleMoments]:
        """By place; places whose runs had different numbers of rows are left out."""
        return {
            place: SampleMoments(
                torch.stack([run.first for run in runs]).mean(0),
                torch.stack([run.second for run in runs]).mean(0),
            )
            for place, runs in self._found.items()
            if len({len(run.first) for run in runs}) == 1
        }
