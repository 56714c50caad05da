"""What the hooks of a user's modules draw from: they run in every forward, and may be its noise.

What they collect is left as it is: a hook that counts or records is there to see every forward.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from varshift._engine.borrow.hidden import named_by

__all__ = ["named_by_hooks"]

_HOOKS = ("_forward_pre_hooks", "_forward_hooks")


def named_by_hooks(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """The modules, tensors and random generators that its hooks take from outside."""
    for name in _HOOKS:
        for hook in tuple(getattr(module, name).values()):
            yield from named_by(hook)
