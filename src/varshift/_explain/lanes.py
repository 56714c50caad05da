"""What every place of the model receives in one way of running it: a lane.

Places are the norm sites and the model's outputs. All lanes see the same batches in the same order,
so that their groups of samples are the same and what they share cancels in the jackknife.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from varshift._engine.batches import Batch
from varshift._engine.record.tally import Tally
from varshift.errors import ModelError
from varshift.theory.moments import Moments

__all__ = ["Lane", "Spread", "outputs_of"]


@dataclass(frozen=True, eq=False)
class Spread:
    """Mean and variance over all samples (row 0) and without each group: (1 + G, C) each."""

    mean: Tensor
    var: Tensor

    def plus(self, mean: Tensor, var: Tensor) -> Spread:
        """Moved by a change of both."""
        return Spread(self.mean + mean, self.var + var)


@dataclass
class Lane:
    """Tallies by place, and in which way the model ran (for error messages).

    With `scattered`, how batches differ from each other is kept too.
    """

    name: str
    scattered: bool = False
    tallies: dict[str, Tally] = field(default_factory=dict)
    _scatters: dict[str, tuple[Moments, Moments]] = field(default_factory=dict)

    def add(self, place: str, x: Tensor, batch: Batch) -> None:
        """Take in one batch, channels in dimension 1."""
        tally = self.tallies.setdefault(place, Tally())
        if not tally.add(x):
            raise ModelError(
                f"what {place!r} receives holds NaN or infinity in the {self.name} pass of batch "
                f"{batch.index}, though the batch itself is finite: the model overflows before it"
            )

        if self.scattered and tally.last is not None and tally.last.count > 1:
            self._add_scatter(place, tally.last)

    def _add_scatter(self, place: str, batch: Moments) -> None:
        mean, var = (
            Moments(1, value, torch.zeros_like(value)) for value in (batch.mean, batch.var())
        )
        held = self._scatters.get(place)
        self._scatters[place] = (mean, var) if held is None else (held[0] + mean, held[1] + var)

    def scatter(self, place: str) -> tuple[Tensor, Tensor]:
        """Variance over batches of the batch means and of the unbiased batch variances: (C,) each.

        What a moving average inherits of it is its sampling noise. NaN below two batches.
        """
        held = self._scatters.get(place)
        if held is None or held[0].count < 2:
            unknown = torch.full_like(self.tallies[place].total().mean, torch.nan)
            return unknown, unknown
        return held[0].var(), held[1].var()

    def add_outputs(self, out: Any, batch: Batch) -> None:
        """Take in what the model returned."""
        for name, value in outputs_of(out, batch.samples):
            self.add(name, value, batch)

    def spread(self, place: str) -> Spread:
        """Moments of a place, with the leave-one-out rows that errors are made of."""
        tally = self.tallies[place]
        total, groups = tally.total(), tally.groups()
        return Spread(
            torch.cat([total.mean[None], groups.mean_without_each()]),
            torch.cat([total.var()[None], groups.var_without_each()]),
        )


def outputs_of(out: Any, samples: int, name: str = "output") -> Iterator[tuple[str, Tensor]]:
    """The model's floating outputs as (name, (rows, F, …)), whatever containers hold them.

    Single numbers (a loss) and tensors whose rows are no samples are left out.
    """
    if isinstance(out, Tensor):
        if out.is_floating_point() and out.ndim and len(out) and len(out) % samples == 0:
            yield name, out.detach() if out.ndim > 1 else out.detach()[:, None]
    elif isinstance(out, Mapping):
        for key, value in out.items():
            yield from outputs_of(value, samples, f"{name}.{key}")
    elif isinstance(out, (tuple, list)):
        for index, value in enumerate(out):
            yield from outputs_of(value, samples, f"{name}[{index}]")
