"""Every change made to a model, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any

import torch
from torch import nn

from varshift._engine import walk
from varshift._engine.inturn import later_than, opened

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


@dataclass
class _Step:
    """One change, and how to take it back.

    `place`: what holds the value, and under which name, where it is one value for another; `old`
    and `new`.
    """

    back: Callable[[Any], Any]
    place: tuple[nn.Module, str, str] | None = None
    old: Any = None
    new: Any = None

    def taken_back(self) -> None:
        """As it was before the step. Once more changes nothing."""
        self.back(self.old)

    def without(self, earlier: _Step) -> None:
        """An earlier step is taken back: what it had put there is not to come back."""
        if self.place == earlier.place is not None and self.old is earlier.new:
            self.old = earlier.old


class Journal:
    """Changes a model step by step. If its block raises, all steps are taken back.

    Where several are taken back, in whatever order, the model is what it was before the first.
    """

    def __init__(self) -> None:
        self._steps: list[_Step] = []
        opened(self)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, where: TracebackType | None
    ) -> None:
        if kind is not None:
            self.undo()

    def undo(self) -> None:
        """Take every step back, the last one first. A second call changes nothing."""
        later = [each for each in later_than(self) if isinstance(each, Journal)]
        while self._steps:
            step = self._steps[-1]
            step.taken_back()
            for other in (other for journal in later for other in journal._steps):
                other.without(step)
            self._steps.pop()  # last, so that an interrupt does not lose it

    def set(self, module: nn.Module, name: str, value: Any) -> None:
        """Give an attribute another value."""
        old = getattr(module, name)
        back = partial(setattr, module, name)
        self._steps.append(_Step(back, (module, "attribute", name), old, value))
        setattr(module, name, value)

    def swap(self, places: list[Home], old: nn.Module, new: nn.Module) -> None:
        """Put `new` in every place of `old`, under the same names and in the same order."""
        for parent, name in places:
            back = partial(parent._modules.__setitem__, name)
            self._steps.append(_Step(back, (parent, "child", name), old, new))
            parent._modules[name] = new

    def add(self, module: nn.Module, name: str, child: nn.Module) -> None:
        """Register one more child."""
        self._steps.append(_Step(lambda _: module._modules.pop(name, None)))
        module.add_module(name, child)

    def recompile(self) -> None:
        """Drop compiled code, now and after the way back."""
        self._steps.insert(0, _Step(lambda _: torch.compiler.reset()))
        torch.compiler.reset()

    def hook(self, module: nn.Module, hook: Callable[..., Any]) -> None:
        """Register a forward pre-hook that takes keywords too."""
        handle = module.register_forward_pre_hook(hook, with_kwargs=True)
        self._steps.append(_Step(lambda _: handle.remove()))
