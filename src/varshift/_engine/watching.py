"""Which modules run while a block lasts, be they part of a model or no longer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from torch import nn

__all__ = ["ran_of"]


@contextmanager
def ran_of(modules: Iterable[nn.Module]) -> Iterator[list[nn.Module]]:
    """Those of `modules` that run inside the block, in order, as often as they do."""
    ran: list[nn.Module] = []
    with ExitStack() as hooks:
        for module in modules:
            hook = module.register_forward_pre_hook(lambda held, _: ran.append(held))
            hooks.callback(hook.remove)
        yield ran
