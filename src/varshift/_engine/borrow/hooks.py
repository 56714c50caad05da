"""What the hooks of a user's modules write to: they run in every forward, and are no part of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import FunctionType, MethodType
from typing import Any

from torch import nn

from varshift._engine.borrow.containers import is_container
from varshift._engine.borrow.hidden import closed_over, named_by
from varshift._engine.borrow.objects import of_others

__all__ = ["named_by_hooks", "written_by_hooks"]

_ROOT = __name__.partition(".")[0]  # the hooks of this package write what it came for


def named_by_hooks(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """The modules, tensors and random generators that its hooks take from outside."""
    for hook in _hooks(module):
        yield from named_by(hook)


def written_by_hooks(module: nn.Module) -> Iterator[Any]:
    """The lists and dicts that its hooks collect in: closed over, or of an object that is one.

    An object's attributes are such a dict too.
    """
    for hook in _hooks(module):
        if isinstance(hook, FunctionType):
            yield from (value for _, value in closed_over(hook) if is_container(value))
            continue
        own = getattr(hook.__self__ if isinstance(hook, MethodType) else hook, "__dict__", None)
        if type(own) is dict:
            yield own
            yield from (value for value in tuple(own.values()) if is_container(value))


def _hooks(module: nn.Module) -> Iterator[Any]:
    """Hooks around its forward that are the user's; those of modules are followed with them."""
    for held in (module._forward_pre_hooks, module._forward_hooks):
        for hook in tuple(held.values()):
            called = hook.func if isinstance(hook, partial) else hook
            owner = called.__self__ if isinstance(called, MethodType) else called
            if not (isinstance(owner, nn.Module) or _of_libraries(owner)):
                yield called


def _of_libraries(owner: Any) -> bool:
    if isinstance(owner, FunctionType):
        return (owner.__module__ or "").partition(".")[0] in ("torch", _ROOT)
    return of_others(owner) or type(owner).__module__.partition(".")[0] in ("torch", _ROOT)
