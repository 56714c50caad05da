"""What a norm has stored, as it will use it at test; and what of it no test can use."""

from __future__ import annotations

import torch
from torch import Tensor

from varshift._counting import counted
from varshift._engine.normcall import NormCall
from varshift._torch.classes import BatchNorm
from varshift.errors import ModelError
from varshift.results import Statistics

__all__ = ["refuse_unusable", "stored_statistics", "unusable"]


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


def refuse_unusable(call: NormCall) -> None:
    """Raise ModelError where a norm normalises by what it has stored, and that is no statistic.

    NaN then comes out of it, or nothing; said here, it is not looked for in the layers before.
    """
    if call.training:
        return
    held = call.handle
    if why := unusable(call.path, held.running_mean, held.running_var):
        raise ModelError(why)


def unusable(path: str, mean: Tensor, var: Tensor) -> str:
    """What is wrong with stored statistics, (C,) each, and what to do; "" where nothing is."""
    kinds = (
        ("NaN", "running_mean", mean.isnan()),
        ("NaN", "running_var", var.isnan()),
        ("infinity", "running_mean", mean.isinf()),
        ("infinity", "running_var", var.isinf()),
        ("a variance below 0", "running_var", var < 0),
    )
    found = torch.stack([bad.detach().sum() for *_, bad in kinds]).tolist()
    for (what, name, _), count in zip(kinds, found, strict=True):
        if count:
            return (
                f"the norm {path!r} has stored {what} ({name}, {count} of "
                f"{counted(len(var), 'channel')}), and evaluation computes with it; take its "
                "statistics anew: vs.recalibrate(model, data)"
            )
    return ""
