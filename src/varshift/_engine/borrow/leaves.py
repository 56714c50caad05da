"""What autograd keeps on a tensor beside its values: `.grad`, `requires_grad` and hooks."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from varshift._engine.borrow.containers import KeptDict

__all__ = ["KeptLeaf"]


class KeptLeaf:
    """A leaf tensor's gradient, taken away for as long as the tensor is lent, and its flags.

    Taken away rather than copied: what a forward that calls `backward()` adds up is then another
    tensor, and the user's own is not touched.
    """

    __slots__ = ("_asked", "_grad", "_hooks", "_own", "_tensor")

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor
        self._asked = tensor.requires_grad
        self._grad = tensor.grad
        hooks: Any = tensor._backward_hooks
        self._hooks = None if hooks is None else KeptDict(hooks)
        self._own = KeptDict(tensor.__dict__) if tensor.__dict__ else None

    def lend(self) -> None:
        """Take the gradient away."""
        if self._grad is not None:
            self._tensor.grad = None

    def restore(self) -> None:
        """Flags, hooks and gradient as they were."""
        tensor: Any = self._tensor
        if tensor.requires_grad != self._asked:
            tensor.requires_grad_(self._asked)
        if tensor.grad is not self._grad:
            tensor.grad = self._grad
        if tensor._backward_hooks is not (self._hooks.held if self._hooks else None):
            tensor._backward_hooks = self._hooks.held if self._hooks else None
        if self._hooks is not None:
            self._hooks.restore()
        if self._own is not None:
            self._own.restore()
        elif tensor.__dict__:
            tensor.__dict__.clear()
