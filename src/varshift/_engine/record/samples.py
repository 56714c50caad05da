"""What each sample by itself receives at each place in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from varshift._engine.batches import Batch
from varshift._engine.normcall import NormCall
from varshift._engine.record.recording import outputs_of
from varshift._engine.regime import Recorder

__all__ = ["PerSample", "SampleMoments"]


@dataclass(frozen=True, eq=False)
class SampleMoments:
    """First and second moment of each sample about a fixed reference: (samples, C) each."""

    first: Tensor
    second: Tensor

    def pooled(self) -> SampleMoments:
        """Of all samples together: (1, C) each."""
        return SampleMoments(self.first.mean(0, keepdim=True), self.second.mean(0, keepdim=True))


class PerSample(Recorder):
    """Moments of each sample about `references`, place by place, of the pass that ran last.

    Args:
        references: by place, about what the moments are taken, (C,). Places without are left out.

    Attributes:
        found: by index of a batch, what it has shown by place; a place has one row where its own
            rows cannot be shared out to the samples.
        whole: whether a batch counts as one sample.
        keep: whether `found` keeps the batches before the last.
    """

    def __init__(self, references: Mapping[str, Tensor]) -> None:
        self.references = dict(references)
        self.found: dict[int, dict[str, SampleMoments]] = {}
        self.whole = self.keep = False

    def begin(self, batch: Batch) -> None:
        """A pass starts."""
        if not self.keep:
            self.found.clear()
        self._batch = batch
        self._met: list[tuple[str, Tensor]] = []

    def norm(self, call: NormCall) -> None:
        """What a norm receives."""
        self._take(call.path, call.x)

    def end(self, out: Any) -> None:
        """The pass is through: what was found leaves an accelerator in one copy."""
        for name, value in outputs_of(out, self._batch.samples):
            self._take(name, value)
        runs = sorted(_on_host(self._met), key=lambda run: run[0])
        self.found[self._batch.index] = {
            place: both
            for place, of_place in groupby(runs, key=lambda run: run[0])
            if (both := _average([moments for _, moments in of_place])) is not None
        }
        self._met = []

    def _take(self, place: str, x: Tensor) -> None:
        reference = self.references.get(place)
        if reference is None:
            return
        wide = x.detach().float() if x.dtype in (torch.float16, torch.bfloat16) else x.detach()
        if (reference.device, reference.dtype) != (wide.device, wide.dtype):
            reference = self.references[place] = reference.to(wide.device, wide.dtype)
        samples = 1 if self.whole else self._batch.samples
        self._met.append((place, _moments(wide, samples, reference)))


def _moments(x: Tensor, samples: int, reference: Tensor) -> Tensor:
    """Both moments about `reference`, (2, samples, C); one row if the rows cannot be shared out."""
    shared = samples if len(x) % samples == 0 else 1
    centred = (x - reference.view(1, -1, *(1,) * (x.ndim - 2))).reshape(*x.shape[:2], -1)
    # A norm is read once and leaves no squares behind, as their mean would.
    second = torch.linalg.vector_norm(centred, dim=2).square() / centred.shape[2]
    rows = torch.stack([centred.mean(2), second]).double()
    return rows.view(2, shared, len(x) // shared, x.shape[1]).mean(2)


def _on_host(met: list[tuple[str, Tensor]]) -> list[tuple[str, Tensor]]:
    away = [moments for _, moments in met if moments.device.type != "cpu"]
    if not away:
        return met
    flat = torch.cat([moments.flatten() for moments in away]).cpu()
    back = iter(flat.split([moments.numel() for moments in away]))
    return [
        (place, moments if moments.device.type == "cpu" else next(back).view(moments.shape))
        for place, moments in met
    ]


def _average(runs: list[Tensor]) -> SampleMoments | None:
    """Over the runs of a norm that runs again; None where they differ in their rows."""
    if len({run.shape[1] for run in runs}) > 1:
        return None
    return SampleMoments(*torch.stack(runs).mean(0))
