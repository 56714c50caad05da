"""What autograd keeps on a tensor beside its values: `.grad`, `requires_grad` and hooks."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from varshift._engine.borrow.containers import KeptDict

__all__ = ["KeptLeaf"]

_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


class KeptLeaf:
    """A leaf tensor's gradient, taken away for as long as the tensor is lent, and its flags.

    Taken away rather than copied: what a forward that calls `backward()` adds up is then another
    tensor, and the user's own is not touched.
    """

    __slots__ = ("_asked", "_dicts", "_grad", "_hooks", "_tensor")

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor
        self._asked = tensor.requires_grad
        self._grad = tensor.grad
        self._hooks = tuple(getattr(tensor, name) for name in _HOOKS)
        own = tensor.__dict__
        self._dicts = [KeptDict(held) for held in (own, *self._hooks) if held is not None]

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
        for name, held in zip(_HOOKS, self._hooks, strict=True):
            if getattr(tensor, name) is not held:
                setattr(tensor, name, held)
        for kept in self._dicts:
            kept.restore()
