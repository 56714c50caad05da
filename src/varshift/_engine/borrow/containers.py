"""Lists, dicts, sets and deques: the same objects in them afterwards, in the same order."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from operator import is_
from typing import Any

from torch import Tensor, nn

from varshift._engine.borrow.tensors import KeptTensor, has_values

__all__ = [
    "TORCHS_OWN",
    "Containers",
    "KeptContainer",
    "KeptDict",
    "is_container",
    "is_plain",
    "kept_container",
    "tensors_within",
]

_DEEP = 4  # containers within containers; a structure that holds itself must end
_MANY = 1000  # items beyond which a pass's own bookkeeping looks into none: a vocabulary
TORCHS_OWN = frozenset(vars(nn.Module()))  # hooks, parameters, children
_CLASSES = (list, dict, set, deque, bytearray)
_PLAIN = frozenset({bool, int, float, str, type(None)})


class KeptDict:
    """The keys and values of a dict, by identity; its own methods are gone round.

    A subclass may do anything in `clear` and `update`: Counter adds where dict writes.
    """

    __slots__ = ("_base", "held", "keys", "values")

    def __init__(self, held: dict[Any, Any]) -> None:
        self.held = held
        self._base: Any = OrderedDict if isinstance(held, OrderedDict) else dict
        self.keys = tuple(self._base.keys(held))
        self.values = tuple(self._base.values(held))

    def restore(self) -> None:
        """The same keys in the same order, with the same objects."""
        held, base = self.held, self._base
        if len(held) == len(self.keys) and all(map(is_, base.keys(held), self.keys)):
            for key, value, now in zip(self.keys, self.values, tuple(held.values()), strict=True):
                if now is not value:
                    base.__setitem__(held, key, value)
            return
        base.clear(held)
        for key, value in zip(self.keys, self.values, strict=True):
            base.__setitem__(held, key, value)


class KeptContainer:
    """The items of a list, set, deque or bytearray."""

    __slots__ = ("_base", "held", "values")

    def __init__(self, held: Any) -> None:
        self.held = held
        self._base: Any = next(each for each in _CLASSES if isinstance(held, each))
        self.values = bytes(held) if self._base is bytearray else tuple(self._base.__iter__(held))

    def restore(self) -> None:
        """The same objects, in the same order."""
        held, base = self.held, self._base
        if self._unmoved():
            return
        if base in (list, bytearray):
            base.__setitem__(held, slice(None), self.values)
        elif base is set:
            set.clear(held)
            set.update(held, self.values)
        else:
            deque.clear(held)
            deque.extend(held, self.values)

    def _unmoved(self) -> bool:
        held, base = self.held, self._base
        if base.__len__(held) != len(self.values):
            return False
        if base is bytearray:
            return bool(held == self.values)
        if base is set:
            return all(set.__contains__(held, item) for item in self.values)
        return all(map(is_, base.__iter__(held), self.values))


def kept_container(value: Any) -> KeptDict | KeptContainer | None:
    """What puts a container's items back; None for a tuple, which always holds the same."""
    if isinstance(value, dict):
        return KeptDict(value)
    return None if isinstance(value, (tuple, frozenset)) else KeptContainer(value)


def is_container(value: Any) -> bool:
    """Whether what is in it can be put back."""
    return isinstance(value, (*_CLASSES, tuple, frozenset))


def is_plain(value: Any) -> bool:
    """Whether it is a tuple of numbers and words, as most attributes of layers are.

    Nothing that could change or be looked into is in it.
    """
    return type(value) is tuple and _PLAIN.issuperset(map(type, value))


class Containers:
    """The containers of one module that hold tensors, as they are now: what a pass may write to.

    `restore()` binds them, their items and the tensors' bits as they were. `seen` holds the ids of
    those another module has given.
    """

    def __init__(self, own: dict[str, Any], seen: set[int]) -> None:
        self._own = own
        self._bound: dict[str, Any] = {}
        self._items: list[KeptDict | KeptContainer] = []
        self.tensors: list[KeptTensor] = []
        for name, value in own.items():
            if name not in TORCHS_OWN and is_container(value) and not is_plain(value):
                self._keep(name, value, seen)

    def _keep(self, name: str, value: Any, seen: set[int]) -> None:
        nested = list(_nested(value, _DEEP, seen))
        found = [item for held in nested for item in _values(held) if _keepable(item)]
        if not found:
            return
        self._bound[name] = value
        self._items += [kept for held in nested if (kept := kept_container(held)) is not None]
        self.tensors += [KeptTensor(tensor) for tensor in found]

    def bind(self) -> None:
        """Undo what was bound anew, appended, removed or replaced."""
        for name, value in self._bound.items():
            if self._own.get(name, self) is not value:
                self._own[name] = value
        for kept in self._items:
            kept.restore()


def tensors_within(module: nn.Module) -> Iterator[tuple[str, Any, Any]]:
    """Tensors in a module's containers: the name (`stats.0`, `named.deep.mean`), holder and key."""
    for name, value in vars(module).items():
        if name not in TORCHS_OWN and is_container(value) and not is_plain(value):
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
    return isinstance(value, Tensor) and has_values(value)
