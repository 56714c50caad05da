"""Batches as nests of tensors: what a tuple, a mapping, a dataclass or an object holds, and copies.

Tuples, lists and named tuples, mappings, dataclasses and classes of attrs (frozen ones and those
with slots too), plain objects with tensors or arrays in their attributes or slots, and graphs,
which say by `to_dict` what they hold. Anything else is a leaf, carried along as it is.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import numpy as np
from torch import Tensor, nn

from varshift._engine.borrow.slots import KeptSlots

__all__ = [
    *("copied", "first_item", "items_of", "mapped", "memory_of", "moved", "rebuildable"),
    *("tensors_of", "with_item"),
]

_DEEP = 8  # objects within objects: one that holds itself must end
_FEW = 100  # items of a container that are looked at for tensors: a vocabulary has more
_LEAVES = (nn.Module, np.ndarray, np.generic, type)


def tensors_of(value: Any) -> Iterator[Tensor]:
    """Every tensor inside nested tuples, lists, mappings and objects that hold tensors."""
    return (held for held in memory_of(value) if isinstance(held, Tensor))


def memory_of(value: Any, _deep: int = _DEEP) -> Iterator[Any]:
    """Every tensor and array inside."""
    if _has_memory(value):
        yield value
    elif _deep:
        for item in _items_within(value):
            yield from memory_of(item, _deep - 1)


def items_of(value: Any) -> dict[str | int, Any]:
    """What a batch consists of: by position, by key, or by the name of a field; {} of a leaf."""
    if isinstance(value, Tensor):
        return {}
    if isinstance(value, Mapping):
        return {key: item for key, item in value.items() if isinstance(key, str)}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return dict(zip(value._fields, value, strict=True))
    if isinstance(value, (tuple, list)):
        return dict(enumerate(value))
    names = _field_names(value)
    if names is not None:
        return {name: getattr(value, name) for name in names}
    return {**(_graph(value) or _attributes(value))}


def first_item(value: Any) -> Any:
    """What the model is called with: the first item of a tuple, a list or a dataclass."""
    if isinstance(value, (tuple, list)):
        return value[0] if value else value
    names = None if isinstance(value, (Tensor, Mapping)) else _field_names(value)
    return getattr(value, names[0]) if names else value


def with_item(value: Any, key: str | int, item: Any) -> Any:
    """A copy of a batch with another item there, and all others as they are."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(item if at == key else getattr(value, at) for at in value._fields))
    if isinstance(value, (tuple, list)):
        return type(value)(item if at == key else held for at, held in enumerate(value))
    if isinstance(value, Mapping):
        return _refilled(value, {**value, key: item})
    if _field_names(value) is None and _graph(value):
        fresh = copy.copy(value)
        setattr(fresh, str(key), item)
        return fresh
    return _copied(value, {str(key): item})


def mapped(
    value: Any,
    step: Callable[[Any], Any],
    method: str | None = None,
    leaf: Callable[[Any], bool] = lambda value: isinstance(value, Tensor),
    _deep: int = _DEEP,
) -> Any:
    """`step` applied to every leaf in nested containers, and to graphs that have that method."""
    if leaf(value):
        return step(value)

    def inner(item: Any) -> Any:
        return mapped(item, step, method, leaf, _deep - 1) if _deep else item

    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(inner, value))
    if isinstance(value, (tuple, list)):
        return type(value)(map(inner, value))
    clones = callable(getattr(value, "clone", None))
    # Not by a `to` of theirs: that of tokenisers and dataclasses may move the lent batch itself.
    if isinstance(value, Mapping) and not clones:
        return _refilled(value, {key: inner(item) for key, item in value.items()})
    if (own := _own_items(value)) and next(memory_of(value), None) is not None:
        return _copied(value, {name: inner(item) for name, item in own.items()})
    own_way = method is not None and not isinstance(value, _LEAVES)
    return step(value) if own_way and callable(getattr(value, method or "", None)) else value


def copied(value: Any) -> Any:
    """A batch with memory of its own: its tensors and arrays are copies."""
    return mapped(value, _copy, "clone", _has_memory)


def moved(value: Any, device: Any, lent: bool) -> Any:
    """A batch on another device; of one that is `lent`, with memory of its own in any case."""

    def step(held: Any) -> Any:
        there = held if device is None or isinstance(held, np.ndarray) else held.to(device)
        return _copy(there) if lent and there is held else there

    return mapped(value, step, "to", _has_memory)


def _copy(held: Any) -> Any:
    if isinstance(held, np.ndarray):
        return held.copy()
    return held.clone() if callable(getattr(held, "clone", None)) else held


def _has_memory(value: Any) -> bool:
    return isinstance(value, (Tensor, np.ndarray))


def rebuildable(value: Any) -> bool:
    """Whether `mapped` reaches what it holds: a graph cannot be cut like a tuple."""
    return isinstance(value, (Tensor, tuple, list, Mapping)) or bool(_own_items(value))


def _items_within(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, (tuple, list)):
        yield from value
    elif own := _own_items(value):
        yield from own.values()
    else:
        yield from _graph(value).values()


def _own_items(value: Any) -> dict[str, Any]:
    """The fields of a dataclass or a class of attrs, else the attributes of a plain object."""
    names = _field_names(value)
    if names is None:
        return _attributes(value)
    return {name: getattr(value, name) for name in names}


def _field_names(value: Any) -> list[str] | None:
    """Of an instance of a dataclass or of a class that attrs made, in order; None of all else."""
    # What answers torch's functions, as a tensorclass does, keeps its tensors where no field is.
    if isinstance(value, type) or hasattr(type(value), "__torch_function__"):
        return None
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
    else:
        made = getattr(type(value), "__attrs_attrs__", None)
        if made is None:
            return None
        names = [each.name for each in made]
    return [name for name in names if hasattr(value, name)]


def _attributes(value: Any) -> dict[str, Any]:
    """Those of a plain object with a tensor or array, unless it answers itself, as graphs do."""
    own = callable(getattr(value, "clone", None)) or callable(getattr(value, "to_dict", None))
    if own or callable(value) or isinstance(value, _LEAVES):
        return {}
    held = getattr(value, "__dict__", None)
    items = dict(held) if isinstance(held, dict) else {}
    if (slots := KeptSlots.of(value)) is not None:
        items.update(slots.items())
    return items if any(map(_holds, items.values())) else {}


def _holds(value: Any, _deep: int = 3) -> bool:
    """Whether it has memory, or is a short container of what has."""
    if _has_memory(value):
        return True
    # A tokeniser's vocabulary is not to be walked for every batch.
    if not isinstance(value, (tuple, list, Mapping)) or len(value) > _FEW or not _deep:
        return False
    items = value.values() if isinstance(value, Mapping) else value
    return any(_holds(item, _deep - 1) for item in items)


def _graph(value: Any) -> Mapping[Any, Any]:
    """What a graph of PyG says that it holds."""
    if isinstance(value, (type, nn.Module)) or not callable(getattr(value, "to_dict", None)):
        return {}
    told = value.to_dict()
    return told if isinstance(told, Mapping) else {}


def _copied(value: Any, items: Mapping[str, Any]) -> Any:
    """An object of the same class with other values; frozen ones, and those with slots, too."""
    try:
        # A copy, not a call of the class: what it does when it is made has been done.
        fresh = copy.copy(value)
    except Exception:
        return value
    for name, item in items.items():
        if getattr(fresh, name) is not item:
            object.__setattr__(fresh, name, item)
    return fresh


def _refilled(value: Mapping[Any, Any], items: dict[Any, Any]) -> Mapping[Any, Any]:
    """A mapping of the same class with other values; a plain dict where that cannot be made."""
    if type(value) is dict or not isinstance(value, MutableMapping):
        return items
    try:
        # A copy, not a fresh one: such classes carry more than their items, as tokenisers' do.
        fresh = copy.copy(value)
        for key, item in items.items():
            fresh[key] = item
    except Exception:
        return items
    return fresh
