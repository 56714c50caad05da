"""Ways of running the model in which every norm uses the statistics of training."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

import torch
from torch import Tensor

from varshift._engine import (
    Fixed,
    Meeting,
    Norms,
    Recorder,
    Recording,
    Regime,
    along_samples,
)
from varshift.results import Structure

__all__ = ["Carries", "clean", "noisy", "pooled"]

# By name of a source, which samples carry it, (samples,) bool; None: it is as drawn.
Carries = Callable[[str], Tensor | None]


def pooled(train: Recording, structure: Structure, by_batch: set[str]) -> dict[str, Fixed]:
    """What all training batches together have shown.

    Frozen norms, and those that go by their batch in evaluation too, do what they do anyhow.
    """
    kept = {norm.path for norm in structure.norms if norm.frozen} | by_batch
    totals = {path: train.at[path].total() for path in train.stored if path not in kept}
    return {path: Fixed(total.mean, total.var(unbiased=False)) for path, total in totals.items()}


def clean(norms: Norms, record: tuple[Recorder, ...]) -> Regime:
    """Noise off."""
    return Regime("evaluation", norms=norms, record=record)


def noisy(
    norms: Norms,
    record: tuple[Recorder, ...],
    carries: Carries,
    leave_out: Collection[str] = (),
) -> Regime:
    """Each sample carries some of the sources; `leave_out` as `Regime` has it."""
    return Regime(
        "training",
        norms=norms,
        record=record,
        blend=partial(_blend, carries),
        leave_out=leave_out,
    )


def _blend(carries: Carries, meeting: Meeting) -> Tensor:
    silent, active = meeting.silent, carries(meeting.name)
    if silent is None or active is None:
        return meeting.noisy
    if bool(active.all()) or not bool(active.any()):
        return meeting.noisy if bool(active[0]) else silent
    rows = along_samples(active.to(silent.device), len(active), silent)
    # Rows that cannot be told apart: everything at once, which the first batch brings to light.
    return meeting.noisy if rows is None else torch.where(rows, meeting.noisy, silent)
