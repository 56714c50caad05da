"""Models whose weights lie on several ranks, or whose buffers are sent between them."""

from __future__ import annotations

from typing import Any

from torch import nn

from varshift._engine.borrow.walk import walk
from varshift._torch.tensors import operation_space

__all__ = ["broadcasts_buffers", "is_sharded", "is_synchronised", "talks_to_ranks"]

# Whatever a process group does passes torch's dispatcher under one of these.
_TALK = frozenset(
    {
        *("c10d", "_c10d_functional", "_c10d_functional_autograd", "c10d_functional"),
        *("symm_mem", "_dtensor", "cplib"),
    }
)


def is_sharded(model: nn.Module) -> bool:
    """Whether a forward gathers weights from other ranks, as FSDP's does: all must run it."""
    return any(
        kind.__module__.startswith("torch.distributed.fsdp")
        for _, module in walk(model)
        for kind in type(module).__mro__
    )


def is_synchronised(model: nn.Module) -> bool:
    """Whether a training forward waits for other ranks, as SyncBatchNorm's does."""
    return any(isinstance(module, nn.SyncBatchNorm) for _, module in walk(model))


def talks_to_ranks(operation: Any) -> bool:
    """Whether other ranks have to join this operation of torch's."""
    return operation_space(operation) in _TALK


def broadcasts_buffers(model: nn.Module) -> bool:
    """Whether DistributedDataParallel wraps it and hands out rank 0's buffers in each forward."""
    while True:
        if type(model).__name__ == "DistributedDataParallel":
            return bool(model.broadcast_buffers)
        inner = getattr(model, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            return False
        model = inner
