"""What a tensor carries while a pass is traced, and the trails noise leaves through it.

Storages carry, not tensors: a view shares its base's storage, so views and in-place writes need
no rule of their own. The price is that halves of one buffer count as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from varshift._engine.trace.laws import Law
from varshift._torch.tensors import storage_identity
from varshift.results import Layer
from varshift.results.structure import Placement

__all__ = [
    "NOTHING",
    "Carried",
    "Flow",
    "Reached",
    "Trail",
    "Trails",
    "merged",
    "same_storage",
    "stepped",
    "storage_key",
    "whole",
]

_RANK: tuple[Placement, ...] = ("a", "b", "through-norm")


class Trail:
    """One path of a noise so far: its placement and its layers, last first, as a linked list."""

    __slots__ = ("before", "layer", "length", "placement")

    def __init__(
        self,
        placement: Placement = "a",
        layer: Layer | None = None,
        before: Trail | None = None,
        length: int = 0,
    ) -> None:
        self.placement: Placement = placement
        self.layer, self.before, self.length = layer, before, length

    @property
    def direct(self) -> bool:
        """Whether no normalisation lies on it."""
        return self.placement != "through-norm"

    def just_passed(self, layer: Layer) -> bool:
        """Whether it is one of the last layers."""
        # Many operations of one module (an LSTM unrolled in time) are the same few layers.
        trail: Trail | None = self
        while trail is not None and trail.layer is not None and trail.layer.path == layer.path:
            if trail.layer == layer:
                return True
            trail = trail.before
        return False

    def layers(self) -> tuple[Layer, ...]:
        """The layers in the order the noise met them."""
        found: list[Layer] = []
        trail: Trail | None = self
        while trail is not None and trail.layer is not None:
            found.append(trail.layer)
            trail = trail.before
        return tuple(reversed(found))


# The shortest trail of each placement. Sources that have come the same way have the same trails,
# not only equal ones, so that a step is taken once for all of them.
Trails = tuple[Trail, ...]
_START: Trails = (Trail(),)


class Reached(dict[int, Trails]):
    """By source, its trails. Never changed once made: a union is worked out once, and kept.

    Networks that join all they have computed so far join the same things again at every layer.
    """

    __slots__ = ("_unions",)
    __hash__ = object.__hash__  # type: ignore[assignment]  # by identity: it keys unions
    __eq__ = object.__eq__

    def __init__(self, trails: Mapping[int, Trails] | None = None) -> None:
        super().__init__(trails or {})
        self._unions: dict[Reached, Reached] = {}

    @classmethod
    def by(cls, sources: Iterable[int]) -> Reached:
        """Of data that these sources meet just now."""
        return cls(dict.fromkeys(sources, _START))

    def stepped(self, layer: Layer, placement: Placement) -> Reached:
        """After a layer that changes a placement or is worth naming."""
        further: dict[Trail, Trail] = {}
        after = {each: _stepped(each, layer, placement, further) for each in set(self.values())}
        return Reached({source: after[trails] for source, trails in self.items()})

    def united(self, other: Reached) -> Reached:
        """Trails of both, the shortest of each placement kept per source."""
        if other is self or not other:
            return self
        if not self:
            return other
        if other not in self._unions:
            self._unions[other] = self._union(other)
        return self._unions[other]

    def _union(self, other: Reached) -> Reached:
        union = Reached(self)
        for source, trails in other.items():
            mine = union.get(source)
            union[source] = trails if mine is None else _shortest((*mine, *trails))
        return union


def _stepped(
    trails: Trails, layer: Layer, placement: Placement, further: dict[Trail, Trail]
) -> Trails:
    """Each one layer further, at least of that placement; `further` has those that were made."""
    best: dict[Placement, tuple[int, Trail]] = {}
    for trail in trails:
        worse = max(trail.placement, placement, key=_RANK.index)
        stays = worse == trail.placement and trail.just_passed(layer)
        length = trail.length if stays else trail.length + 1
        if worse not in best or length < best[worse][0]:
            best[worse] = length, trail
    for worse, (length, trail) in best.items():
        if trail not in further:
            stays = length == trail.length
            further[trail] = trail if stays else Trail(worse, layer, trail, length)
    return tuple(further[trail] for _, trail in best.values())


def _shortest(trails: Iterable[Trail]) -> Trails:
    """The shortest trail of each placement."""
    best: dict[Placement, Trail] = {}
    for trail in trails:
        held = best.get(trail.placement)
        if held is None or trail.length < held.length:
            best[trail.placement] = trail
    return tuple(best.values())


_UNREACHED = Reached()


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
    trails: Reached = _UNREACHED

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
