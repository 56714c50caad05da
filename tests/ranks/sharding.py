"""Where `fully_shard` lives in this torch: before 2.6 it had another home."""

from __future__ import annotations

try:
    from torch.distributed.fsdp import fully_shard
except ImportError:
    from torch.distributed._composable.fsdp import fully_shard

__all__ = ["fully_shard"]
