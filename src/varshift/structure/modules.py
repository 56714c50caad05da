"""Which module is running: a stack kept by hooks, all of them removed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn

from varshift.lending import walk

__all__ = ["ModuleStack", "module_stack"]


class ModuleStack:
    """The modules now running, outermost first, as (path, module), and all that have run."""

    def __init__(self, model: nn.Module) -> None:
        self._running: list[tuple[str, nn.Module]] = [("", model)]
        self.called: set[str] = set()

    @property
    def innermost(self) -> tuple[str, nn.Module]:
        """Path and module whose code is running."""
        return self._running[-1]

    def enter(self, path: str) -> Callable[..., None]:
        """A forward pre-hook for the module at `path`."""

        def hook(module: nn.Module, inputs: Any) -> None:
            self._running.append((path, module))
            self.called.add(path)

        return hook

    def leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """A forward hook: the module is done."""
        if len(self._running) > 1:
            self._running.pop()


@contextmanager
def module_stack(model: nn.Module) -> Iterator[ModuleStack]:
    """Hooks on every module for the time of one traced pass."""
    stack = ModuleStack(model)
    with ExitStack() as hooks:
        for path, module in walk(model):
            if path:
                before = module.register_forward_pre_hook(stack.enter(path))
                after = module.register_forward_hook(stack.leave)
                hooks.callback(before.remove)
                hooks.callback(after.remove)
        yield stack
