"""What a tensor carries while a pass is traced.

Storages carry, not tensors: a view shares its base's storage, so views and in-place writes need
no rule of their own. The price is that halves of one buffer count as one.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from varshift._engine.trace.laws import Law
from varshift._engine.trace.trails import UNREACHED, Reached
from varshift._torch.tensors import storage_identity
from varshift.results import Layer
from varshift.results.structure import Placement

__all__ = [
    "NOTHING",
    "Carried",
    "Flow",
    "merged",
    "same_storage",
    "stepped",
    "storage_key",
    "whole",
]


class Flow(NamedTuple):
    """What one storage carries.

    `data`: depends on the example. `weight`: computed from parameters. `noise`: the source whose
    bare draw this is, not yet met with data, under `law`; `block` if it was pooled on the way, and
    `others` the further sources whose bare draws went into it. `trails`: per source, its shortest
    path of each placement. `outside`: the tensor that no operation of the pass has made and this
    comes from, by its number, not yet met with data; `touched` once data has met one.
    """

    data: bool = False
    weight: bool = False
    noise: int | None = None
    law: Law | None = None
    block: bool = False
    others: tuple[int, ...] = ()
    outside: int | None = None
    touched: bool = False
    trails: Reached = UNREACHED

    @property
    def drawn(self) -> tuple[int, ...]:
        """The sources whose bare draws this is."""
        return () if self.noise is None else (self.noise, *self.others)

    def holds(self, other: Flow) -> bool:
        """Whether data that carries this carries nothing more for having met `other`."""
        if other is self:
            return True
        plain = other.noise is None and other.outside is None and not other.touched
        return (
            plain
            and other.data <= self.data
            and other.weight <= self.weight
            and (not other.trails or other.trails is self.trails)
        )


NOTHING = Flow()


def merged(flows: Iterable[Flow]) -> Flow:
    """What depends on all of these at once; the object itself where one of them is all of it."""
    carrying = [flow for flow in flows if flow is not NOTHING]
    if len(carrying) <= 1:
        return carrying[0] if carrying else NOTHING
    most = next((flow for flow in carrying if flow.data), carrying[0])
    if most.noise is None and most.outside is None and all(map(most.holds, carrying)):
        return most
    trails = reduce(Reached.united, (flow.trails for flow in carrying))
    bare = [flow for flow in carrying if flow.noise is not None]
    drawn = tuple(dict.fromkeys(source for flow in bare for source in flow.drawn))
    data = any(flow.data for flow in carrying)
    weight = any(flow.weight for flow in carrying)
    outside = next((flow.outside for flow in carrying if flow.outside is not None), None)
    acts = data or weight
    return Flow(
        data=data,
        weight=weight,
        noise=drawn[0] if drawn else None,
        law=bare[0].law if len(bare) == 1 else None,
        block=any(flow.block for flow in bare),
        others=drawn[1:],
        outside=None if acts or drawn else outside,
        touched=(acts and outside is not None) or any(flow.touched for flow in carrying),
        trails=trails,
    )


def stepped(flow: Flow, layer: Layer, placement: Placement) -> Flow:
    """The flow after a layer that changes a placement or is worth naming."""
    return flow._replace(trails=flow.trails.stepped(layer, placement)) if flow.trails else flow


class Carried:
    """Flows by storage. Dead storages keep their number reserved, so no number is met twice."""

    def __init__(self) -> None:
        self._flows: dict[Any, tuple[Any, Flow]] = {}

    def get(self, tensor: Tensor) -> Flow:
        """What the tensor carries."""
        held = self._flows.get(storage_key(tensor))
        return held[1] if held is not None else NOTHING

    def put(self, tensor: Tensor, flow: Flow) -> None:
        """From now on the tensor's storage carries `flow`."""
        key = storage_key(tensor)
        held = self._flows.get(key)
        if held is not None:
            self._flows[key] = (held[0], flow)
        elif flow is not NOTHING:
            self._hold(key, tensor, flow)

    def known(self, tensor: Tensor) -> bool:
        """Whether its storage was put here, or claimed."""
        return storage_key(tensor) in self._flows

    def claim(self, tensor: Tensor) -> None:
        """Know its storage, though it carries nothing."""
        if not self.known(tensor):
            self._hold(storage_key(tensor), tensor, NOTHING)

    def _hold(self, key: Any, tensor: Tensor, flow: Flow) -> None:
        # A weak reference frees the memory but keeps the address from being used again.
        guard = tensor if key is tensor else StorageWeakRef(tensor.untyped_storage())
        self._flows[key] = (guard, flow)


def storage_key(tensor: Tensor) -> Any:
    """The same for a tensor and every view of it."""
    try:
        return storage_identity(tensor)
    except (NotImplementedError, RuntimeError):  # sparse and other storage-less layouts
        return tensor


def same_storage(one: Tensor, other: Tensor) -> bool:
    """Whether one is the other or a view of it."""
    if one is other:
        return True
    mine, yours = storage_key(one), storage_key(other)
    return isinstance(mine, int) and isinstance(yours, int) and mine == yours


def whole(tensor: Tensor) -> bool:
    """Whether the tensor covers all of its storage."""
    if tensor.layout != torch.strided:
        return True
    return tensor.numel() * tensor.element_size() >= tensor.untyped_storage().nbytes()
