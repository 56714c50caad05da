"""What statistics were before a recalibration on several ranks: one answer for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from varshift._engine import Ranks, broadcasts_buffers

__all__ = ["Before"]

Statistics = Mapping[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True, eq=False)
class Before:
    """The statistics by norm that are reported, and the values by tensor that `undo` puts back.

    DistributedDataParallel gives every rank the buffers of rank 0 at the start of each forward. So
    a validation pass between a recalibration and its undo would have left rank 0's old statistics
    everywhere, had there been no recalibration; and the next training pass starts from them in any
    case. They are what `undo` puts back there. Without such a wrapper each rank keeps its own.
    """

    statistics: Statistics
    values: Mapping[str, Tensor]
    notes: tuple[str, ...] = ()

    @classmethod
    def on(
        cls, ranks: Ranks, model: nn.Module, own: Statistics, values: Mapping[str, Tensor]
    ) -> Before:
        """Of all ranks: those of rank 0, and a note where others held other ones."""
        if not ranks.several:
            return cls(own, {})
        broadcast = ranks.agree(broadcasts_buffers(model))
        held = {name: value.detach().clone() for name, value in values.items()}
        first, first_values = ranks.gather((own, held) if ranks.rank == 0 else ({}, {}))[0]
        same = all(_same(value, first_values[name]) for name, value in held.items())
        if not ranks.any(not same):
            return cls(own, {})
        if broadcast:
            return cls(first, first_values, (_BROADCAST,))
        return cls(first, {}, (_OWN,))


_BROADCAST = (
    "the ranks held different statistics before, as DistributedDataParallel leaves them between "
    "forwards; those of rank 0, which its next forward would give to all, are what undo() puts back"
)
_OWN = (
    "the ranks held different statistics before: those of rank 0 are reported, and undo() puts "
    "back each rank's own"
)


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.cpu().view(-1).view(torch.uint8), other.view(-1).view(torch.uint8))
