"""The noise-averaged prediction: what the network, as it was trained, says on average.

In these passes the noise is on while every norm uses its stored statistics, which belong to noise:
no shift, and no sample depends on its batch. The average over passes is the best the weights have
to offer [gal2016dropout], and costs that many passes; a repair tries to give it in one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from varshift._engine.batches import Batch, Forward, call
from varshift._engine.borrow.model import borrowed, set_training, training_flags
from varshift._engine.borrow.rng import drawn_from, rng_state, seed_all
from varshift._engine.sites import norm_handles
from varshift._engine.trace.tracer import tracing
from varshift._repair.predictions import Reader
from varshift._repair.steering import Steered
from varshift.errors import ModelError
from varshift.results.structure import Structure

__all__ = ["Flags", "noisy_flags", "off_flags", "taught"]

Flags = list[tuple[nn.Module, bool]]


def off_flags(model: nn.Module) -> Flags:
    """Everything in evaluation mode."""
    return [(module, False) for module, _ in training_flags(model)]


def noisy_flags(
    model: nn.Module, lent: Flags, structure: Structure, batch: Batch, forward: Forward | None
) -> Flags:
    """Evaluation mode but for the modules that draw; else, where that hides a source, as lent.

    Only the drawing modules, since a model in training may return other things (auxiliary heads,
    losses). The norms stay in evaluation mode either way.
    """
    paths = {noise.path for noise in structure.noises if noise.active}
    drawing = {id(model.get_submodule(path)) for path in paths}
    few = [(module, id(module) in drawing) for module, _ in lent]
    if _draws_as(model, few, structure, batch, forward):
        return few
    norms = {id(handle.module) for handle in norm_handles(model).values()}
    return [(module, flag and id(module) not in norms) for module, flag in lent]


def _draws_as(
    model: nn.Module, flags: Flags, structure: Structure, batch: Batch, forward: Forward | None
) -> bool:
    """Whether every source of the training pass draws under these flags too."""
    before = rng_state()
    with borrowed(model), tracing(model, batch.value) as tracer, Steered(model):
        set_training(flags)
        call(model, batch, forward)
        moved = drawn_from(before, rng_state())
    met = {(source.path, source.operation) for source in tracer.sources}
    wanted = {(n.path, n.operation) for n in structure.noises if n.active and n.module != ""}
    outside = {n.operation.split()[0] for n in structure.noises if n.active and n.module == ""}
    return wanted <= met and outside <= set(moved)


@dataclass(frozen=True, eq=False)
class Teacher:
    """Averages `passes` noisy predictions of each batch; `refused` says why that would be wrong."""

    model: nn.Module
    flags: Flags
    reader: Reader
    forward: Forward | None
    passes: int
    refused: str | None = None

    def __call__(self, batch: Batch) -> Tensor:
        """The noise-averaged prediction of a batch, and on the way nothing of the model moves."""
        set_training(self.flags)
        with torch.no_grad(), Steered(self.model):
            drawn = [
                self.reader.read(call(self.model, batch, self.forward)) for _ in range(self.passes)
            ]
        return self.reader.average(drawn)


def taught(
    teacher: Teacher,
    held: list[Batch],
    step: Callable[[int], None] = lambda passes: None,
    *,
    seed: int = 0,
) -> list[Tensor]:
    """The noise-averaged prediction of every batch, all generators started at `seed`."""
    if teacher.refused is not None:
        raise ModelError(teacher.refused)
    found = []
    with borrowed(teacher.model):
        seed_all(seed)
        for batch in held:
            found.append(teacher(batch))
            step(teacher.passes)
    return found
