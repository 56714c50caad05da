"""Models whose weights lie on several ranks, or whose buffers are sent between them."""

from __future__ import annotations

from torch import nn

from varshift._engine.borrow.walk import walk

__all__ = ["broadcasts_buffers", "is_sharded", "is_synchronised"]


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


def broadcasts_buffers(model: nn.Module) -> bool:
    """Whether DistributedDataParallel wraps it and hands out rank 0's buffers in each forward."""
    while True:
        if type(model).__name__ == "DistributedDataParallel":
            return bool(model.broadcast_buffers)
        inner = getattr(model, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            return False
        model = inner
