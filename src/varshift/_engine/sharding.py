"""Models whose weights lie on several ranks."""

from __future__ import annotations

from torch import nn

from varshift._engine.borrow.walk import walk

__all__ = ["is_sharded"]


def is_sharded(model: nn.Module) -> bool:
    """Whether a forward gathers weights from other ranks, as FSDP's does: all must run it."""
    return any(
        kind.__module__.startswith("torch.distributed.fsdp")
        for _, module in walk(model)
        for kind in type(module).__mro__
    )
