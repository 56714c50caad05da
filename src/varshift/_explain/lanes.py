"""What every place of the model receives in one way of running it: a lane.

Places are the norm sites and the model's outputs. All lanes see the same batches in the same order,
so that their groups of samples are the same and what they share cancels in the jackknife.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from varshift._engine.batches import Batch
from varshift._engine.record.bank import Bank
from varshift._engine.record.recording import outputs_of

__all__ = ["Lane", "Spread", "outputs_of"]


@dataclass(frozen=True, eq=False)
class Spread:
    """Mean and variance over all samples (row 0) and without each group: (1 + G, C) each."""

    mean: Tensor
    var: Tensor

    def plus(self, mean: Tensor, var: Tensor) -> Spread:
        """Moved by a change of both."""
        return Spread(self.mean + mean, self.var + var)


class Lane:
    """Moments by place, and in which way the model ran (for error messages)."""

    def __init__(self, name: str, *, scattered: bool = False) -> None:
        self.tallies = Bank(name, scattered=scattered)

    def add_outputs(self, out: Any, batch: Batch) -> None:
        """Take in what the model returned."""
        for name, value in outputs_of(out, batch.samples):
            self.tallies.add(name, value)

    def spread(self, place: str) -> Spread:
        """Moments of a place, with the leave-one-out rows that errors are made of."""
        tally = self.tallies[place]
        total, groups = tally.total(), tally.groups()
        return Spread(
            torch.cat([total.mean[None], groups.mean_without_each()]),
            torch.cat([total.var()[None], groups.var_without_each()]),
        )
