"""Methods that may be handed out without keeping their object."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar
from weakref import WeakMethod

__all__ = ["weakly"]

_P = ParamSpec("_P")
_R = TypeVar("_R")


def weakly(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """The method of an object, for what that object holds itself.

    Held as it is, it would close a cycle, and a model that was lent (and all its memory) would stay
    until Python next looks for cycles, though its owner has let it go.
    """
    held = WeakMethod(method)

    def called(*arguments: _P.args, **keywords: _P.kwargs) -> _R:
        alive = held()
        assert alive is not None  # who holds this is held by the object
        return alive(*arguments, **keywords)

    return called
