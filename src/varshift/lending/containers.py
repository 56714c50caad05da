"""Lists, dicts, sets and deques that a module keeps: what they hold, and the tensors in them."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from varshift.lending.bits import same_bits

__all__ = ["Container", "containers_of", "tensors_within"]

_DEEP = 4  # containers within containers; a structure that holds itself must end
_TORCHS_OWN = frozenset(vars(nn.Module()))  # hooks, parameters, children
_SHALLOW = (list, dict, OrderedDict, defaultdict, set, deque)


class Container:
    """One container as it is now; `restore()` puts the same objects back, and tensors' bits."""

    def __init__(self, held: Any) -> None:
        self._held = held
        self._items = list(held.items()) if isinstance(held, dict) else list(held)
        values = [value for _, value in self._items] if isinstance(held, dict) else self._items
        # Batch norm writes to strided tensors only, and others cannot be compared by their bits.
        self._tensors = [
            (value, value.detach().clone())
            for value in values
            if isinstance(value, Tensor)
            and value.layout == torch.strided
            and not (value.is_meta or value.is_nested)
        ]

    def restore(self) -> None:
        """Undo what was appended, removed, replaced or written."""
        if not self._unmoved():
            self._held.clear()
            add = self._held.update if isinstance(self._held, (dict, set)) else self._held.extend
            add(self._items)
        for tensor, before in self._tensors:
            if tensor.shape == before.shape and not same_bits(tensor, before):
                # As batch norm writes: without a word to the version counter.
                tensor.data.copy_(before)

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


def containers_of(module: nn.Module) -> list[Container]:
    """Those among a module's own attributes, and those inside them."""
    return [
        Container(held)
        for name, value in vars(module).items()
        if name not in _TORCHS_OWN
        for held in _nested(value, _DEEP)
    ]


def tensors_within(module: nn.Module) -> Iterator[tuple[str, Any, Any]]:
    """Tensors in a module's containers: the name (`stats.0`, `named.deep.mean`), holder and key."""
    for name, value in vars(module).items():
        if name not in _TORCHS_OWN:
            yield from _named(name, value, _DEEP)


def _nested(value: Any, deep: int) -> Iterator[Any]:
    # Exact classes: a subclass may do anything in clear() and update().
    if deep and (type(value) in _SHALLOW or isinstance(value, tuple)):
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from _nested(item, deep - 1)


def _named(name: str, value: Any, deep: int) -> Iterator[tuple[str, Any, Any]]:
    if not deep or not isinstance(value, (list, tuple, dict, deque)):
        return
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, Tensor):
            yield f"{name}.{key}", value, key
        else:
            yield from _named(f"{name}.{key}", item, deep - 1)
