"""Which module is running: a stack kept by torch's global hooks, removed again.

Global hooks, since the model's own hooks are then not touched at all, and two registrations cost
nothing where two per module cost as much as a quarter of the forward pass.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from varshift._engine.sites import Inventory

__all__ = ["ModuleStack", "module_stack"]

Report = Callable[[int, int | None], None]


class ModuleStack:
    """The modules now running, outermost first, as (path, module), and all that have run."""

    def __init__(self, held: Inventory, report: Report | None = None) -> None:
        self.held = held
        self._paths = {id(module): path for path, module in held.modules}
        self._report = report
        # Only what has no modules inside: a container is done when its parts are.
        self.leaves = {
            path
            for path, module in held.modules
            if next(module.children(), None) is None  # a compiled child has no truth value
        }
        self._left: set[str] = set()
        self._running: list[tuple[str, nn.Module]] = [("", held.model)]
        self.called: set[str] = set()

    @property
    def innermost(self) -> tuple[str, nn.Module]:
        """Path and module whose code is running."""
        return self._running[-1]

    def enter(self, module: nn.Module, inputs: Any) -> None:
        """A module of the model starts; modules of other models are none of our business."""
        path = self._paths.get(id(module))
        if path:
            self._running.append((path, module))
            self.called.add(path)

    def leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """A module of the model is done."""
        if self._running[-1][1] is module and len(self._running) > 1:
            self._count(self._running.pop()[0])

    def _count(self, path: str) -> None:
        """A leaf counts once, however often it runs: how often nobody knows before."""
        if self._report is not None and path in self.leaves and path not in self._left:
            self._left.add(path)
            self._report(len(self._left), len(self.leaves))


@contextmanager
def module_stack(held: Inventory, report: Report | None = None) -> Iterator[ModuleStack]:
    """Keep the stack for the time of one traced pass; `report(modules run, modules in all)`."""
    stack = ModuleStack(held, report)
    with ExitStack() as hooks:
        # A compiled part says that global hooks fire for its wrapper too; that is as it should be.
        hooks.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", message="Using `torch.compile")
        hooks.callback(register_module_forward_pre_hook(stack.enter).remove)
        hooks.callback(register_module_forward_hook(stack.leave).remove)
        yield stack
