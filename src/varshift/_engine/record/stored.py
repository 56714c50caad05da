"""What a norm has stored, as it will use it at test."""

from __future__ import annotations

from torch import Tensor

from varshift._engine.normcall import NormCall
from varshift._torch.classes import BatchNorm
from varshift.results import Statistics

__all__ = ["stored_statistics"]


def stored_statistics(call: NormCall) -> Statistics:
    """What the norm has stored before this call; `count` is the number of batches tracked."""
    mean, var = call.handle.running_mean, call.handle.running_var
    tracked = getattr(call.owner, "num_batches_tracked", None)
    count = int(tracked) if isinstance(tracked, Tensor) else 0
    # BatchNorm counts a training batch before it normalises it.
    ahead = isinstance(call.owner, BatchNorm) and call.owner.training and call.training
    return Statistics(
        mean=mean.detach().double().cpu().clone(),
        var=var.detach().double().cpu().clone(),
        count=max(0, count - int(ahead)),
    )
