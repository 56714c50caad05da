"""Every change made to a model, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any

import torch
from torch import nn

from varshift._engine import walk

__all__ = ["Home", "Journal", "homes"]

Home = tuple[nn.Module, str]


def homes(model: nn.Module, module: nn.Module) -> list[Home]:
    """Every place in which a module object is registered: (parent, name)."""
    return [
        (parent, name)
        for _, parent in walk(model)
        for name, child in parent._modules.items()
        if child is module
    ]


class Journal:
    """Changes a model step by step. If its block raises, all steps are taken back."""

    def __init__(self) -> None:
        self._back: list[Callable[[], Any]] = []

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, where: TracebackType | None
    ) -> None:
        if kind is not None:
            self.undo()

    def undo(self) -> None:
        """Take every step back, the last one first. A second call changes nothing."""
        while self._back:
            self._back.pop()()

    def set(self, module: nn.Module, name: str, value: Any) -> None:
        """Give an attribute another value."""
        old = getattr(module, name)
        self._back.append(lambda: setattr(module, name, old))
        setattr(module, name, value)

    def swap(self, places: list[Home], old: nn.Module, new: nn.Module) -> None:
        """Put `new` in every place of `old`, under the same names and in the same order."""
        for parent, name in places:
            self._back.append(partial(parent._modules.update, {name: old}))
            parent._modules[name] = new

    def add(self, module: nn.Module, name: str, child: nn.Module) -> None:
        """Register one more child."""
        self._back.append(lambda: module._modules.pop(name, None))
        module.add_module(name, child)

    def recompile(self) -> None:
        """Drop compiled code, now and after the way back."""
        self._back.insert(0, torch.compiler.reset)
        torch.compiler.reset()

    def hook(self, module: nn.Module, hook: Callable[..., Any]) -> None:
        """Register a forward pre-hook that takes keywords too."""
        handle = module.register_forward_pre_hook(hook, with_kwargs=True)
        self._back.append(handle.remove)
