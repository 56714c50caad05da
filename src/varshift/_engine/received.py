"""Which items of a batch a forward hands to the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine.batches import Batch
from varshift._engine.borrow.walk import walk
from varshift._engine.nested import first_item, items_of, tensors_of
from varshift._engine.regime import Regime
from varshift._engine.session import Session

__all__ = ["received"]


def received(run: Session, batch: Batch) -> tuple[Any, frozenset[str | int]]:
    """What one evaluation pass returns, and the items of the batch that modules were called with.

    An item counts where a module was called with one of its tensors or a view of it. One that was
    changed first, as by `torch.cat`, is not seen here: `run.once` on other values shows it.
    """
    if run.forward is None:
        return run.once(batch, Regime("evaluation")), _called_with(batch.value)
    seen = _Watch()
    modules = [
        path for path, each in walk(run.model) if not isinstance(each, torch.jit.ScriptModule)
    ]
    with seen.watching(run):
        out = run.once(batch, Regime("evaluation", enter=dict.fromkeys(modules, seen.enter)))
    return out, frozenset(seen.found)


def _called_with(value: Any) -> frozenset[str | int]:
    """Without a forward: the first item alone, or a mapping or a graph as a whole."""
    items = items_of(value)
    if isinstance(value, Mapping) or first_item(value) is value:
        return frozenset(items)
    return frozenset(list(items)[:1])


class _Watch:
    """Knows the tensors of the batch that a pass runs on by the memory they lie in."""

    def __init__(self) -> None:
        self.found: set[str | int] = set()
        self._items: dict[int, str | int] = {}
        self._alive: Any = None  # else their memory might be given to other tensors

    @contextmanager
    def watching(self, run: Session) -> Iterator[None]:
        """In the block the session's forward shows what it is given: copies of the lent batch."""
        forward = run.forward
        assert forward is not None

        def shown(model: nn.Module, value: Any) -> Any:
            self._alive = value
            for key, item in items_of(value).items():
                self._items |= {_place(tensor): key for tensor in tensors_of(item)}
            return forward(model, value)

        run.forward = shown
        try:
            yield
        finally:
            run.forward = forward

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A module is about to be called."""
        places = (_place(tensor) for tensor in tensors_of([args, kwargs]))
        self.found |= {self._items[place] for place in places if place in self._items}


def _place(tensor: Tensor) -> int:
    """Where its values lie; sparse tensors have no memory of their own to name."""
    try:
        return tensor.untyped_storage().data_ptr() or id(tensor)
    except (NotImplementedError, RuntimeError):
        return id(tensor)
