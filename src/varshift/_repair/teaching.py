"""The noise-averaged prediction: what the network, as it was trained, says on average.

In these passes the noise is on while every norm uses its stored statistics, which belong to noise:
no shift, and no sample depends on its batch. The average over passes is the best the weights have
to offer [gal2016dropout], and costs that many passes; a repair tries to give it in one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from varshift._engine import Batch, Flags, Regime, Session, Tracer, norm_handles, stored
from varshift._repair.predictions import Reader
from varshift.errors import ModelError

__all__ = ["Teacher", "noisy_flags"]


def noisy_flags(run: Session, batch: Batch) -> Flags:
    """Evaluation mode but for the modules that draw; else, where that hides a source, as lent.

    Only the drawing modules, since a model in training may return other things (auxiliary heads,
    losses). The norms stay in evaluation mode either way.
    """
    paths = {noise.path for noise in run.structure.noises if noise.active}
    drawing = {id(run.model.get_submodule(path)) for path in paths}
    few = [(module, id(module) in drawing) for module, _ in run.on]
    if run.ranks.agree(_draws_as(run, few, batch)):
        return few
    norms = {id(handle.module) for handle in norm_handles(run.model).values()}
    return [(module, flag and id(module) not in norms) for module, flag in run.on]


def _draws_as(run: Session, flags: Flags, batch: Batch) -> bool:
    """Whether every source of the training pass draws under these flags too."""
    with run.trying():
        pass_ = run.followed(batch, Regime(flags, norms=stored), Tracer)
    met = {(source.path, source.operation) for source in pass_.tracer.sources}
    active = [noise for noise in run.structure.noises if noise.active]
    wanted = {(noise.path, noise.operation) for noise in active if noise.module != ""}
    outside = {noise.operation.split()[0] for noise in active if noise.module == ""}
    return wanted <= met and outside <= set(pass_.moved)


@dataclass(frozen=True, eq=False)
class Teacher:
    """Averages `passes` noisy predictions of each batch; `refused` says why that would be wrong."""

    run: Session
    flags: Flags
    reader: Reader
    passes: int
    refused: str | None = None

    def __call__(self, batch: Batch) -> Tensor:
        """The noise-averaged prediction of a batch."""
        noisy = Regime(self.flags, norms=stored)
        drawn = (self.run.once(batch, noisy) for _ in range(self.passes))
        return self.reader.average([self.reader.read(out) for out in drawn])

    def taught(
        self,
        held: Sequence[Batch],
        step: Callable[[int], None] = lambda passes: None,
        *,
        seed: int = 0,
    ) -> list[Tensor]:
        """The noise-averaged prediction of every batch, all generators started at `seed`."""
        if self.refused is not None:
            raise ModelError(self.refused)
        found = []
        with self.run.trying(seed=seed):
            for batch in held:
                found.append(self(batch))
                step(self.passes)
        return found
