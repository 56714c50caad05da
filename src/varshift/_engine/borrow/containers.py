"""Lists, dicts, sets and deques that a module keeps: what they hold, and the tensors in them."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine.borrow.tensors import KeptTensor

__all__ = ["Containers", "is_container", "tensors_within"]

_DEEP = 4  # containers within containers; a structure that holds itself must end
_MANY = 1000  # items beyond which none is looked into: a vocabulary, not statistics
_TORCHS_OWN = frozenset(vars(nn.Module()))  # hooks, parameters, children
# Exact classes: a subclass may do anything in clear() and update().
_CLASSES = (list, dict, OrderedDict, defaultdict, set, deque)


class Containers:
    """The containers of one module as they are now; `restore()` puts everything back.

    That is which attribute holds which container, which objects are in it, and the tensors' bits.
    With `tensors_only`, containers that hold no tensor are let be: no pass of batch norm writes to
    them. `seen` holds the ids of those another module has given.
    """

    def __init__(
        self, own: dict[str, Any], seen: set[int] | None = None, *, tensors_only: bool = False
    ) -> None:
        self._own = own
        seen = set() if seen is None else seen
        self._bound: dict[str, Any] = {}
        self._held: list[_Container] = []
        for name, value in own.items():
            if name in _TORCHS_OWN or not is_container(value):
                continue
            found = [_Container(held) for held in _nested(value, _DEEP, seen)]
            if tensors_only and not any(each.tensors for each in found):
                continue
            self._bound[name] = value
            self._held += found

    def restore(self) -> None:
        """Undo what was bound anew, appended, removed, replaced or written."""
        for name, value in self._bound.items():
            if self._own.get(name, self) is not value:
                self._own[name] = value
        for held in self._held:
            held.restore()


class _Container:
    """The same objects in it, and in the same order."""

    def __init__(self, held: Any) -> None:
        self._held = held
        self._items = list(held.items()) if isinstance(held, dict) else list(held)
        self.tensors = [KeptTensor(value) for value in _values(held) if _keepable(value)]

    def restore(self) -> None:
        if not self._unmoved():
            self._held.clear()
            add = self._held.update if isinstance(self._held, (dict, set)) else self._held.extend
            add(self._items)
        for tensor in self.tensors:
            tensor.restore()

    def _unmoved(self) -> bool:
        if isinstance(self._held, tuple):
            return True
        if len(self._held) != len(self._items):
            return False
        if isinstance(self._held, set):
            return all(item in self._held for item in self._items)
        if isinstance(self._held, dict):
            return all(
                key is old and value is before
                for (key, value), (old, before) in zip(self._held.items(), self._items, strict=True)
            )
        return all(now is before for now, before in zip(self._held, self._items, strict=True))


def is_container(value: Any) -> bool:
    """Whether what is in it can be put back."""
    return type(value) in _CLASSES or isinstance(value, tuple)


def tensors_within(module: nn.Module) -> Iterator[tuple[str, Any, Any]]:
    """Tensors in a module's containers: the name (`stats.0`, `named.deep.mean`), holder and key."""
    for name, value in vars(module).items():
        if name not in _TORCHS_OWN:
            yield from _named(name, value, _DEEP)


def _nested(value: Any, deep: int, seen: set[int]) -> Iterator[Any]:
    if not deep or id(value) in seen:
        return
    seen.add(id(value))
    yield value
    if len(value) <= _MANY:
        for item in _values(value):
            if is_container(item):
                yield from _nested(item, deep - 1, seen)


def _named(name: str, value: Any, deep: int) -> Iterator[tuple[str, Any, Any]]:
    if not deep or not isinstance(value, (list, tuple, dict, deque)) or len(value) > _MANY:
        return
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, Tensor):
            yield f"{name}.{key}", value, key
        elif isinstance(item, (list, tuple, dict, deque)):
            yield from _named(f"{name}.{key}", item, deep - 1)


def _values(held: Any) -> list[Any]:
    return list(held.values()) if isinstance(held, dict) else list(held)


def _keepable(value: Any) -> bool:
    """Tensors that batch norm can write to; others cannot all be compared by their bits."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and not (value.is_meta or value.is_nested or value.is_quantized)
    )
