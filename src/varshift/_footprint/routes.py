"""Which norms meet noise of a place first: told by putting some in and looking where it arrives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from varshift._engine import (
    Batch,
    Flags,
    NormCall,
    Recorder,
    Regime,
    Session,
    channel_moments,
    walk,
)
from varshift._footprint.injecting import Injector, Nudge, noisable
from varshift._footprint.passes import NUDGE, Inside
from varshift._footprint.places import WEIGHTED, NoiseKind, NoisePlace, kinds_at

__all__ = ["PassOrder", "PlaceReach", "meet", "routes"]

Arrived = dict[NoiseKind, dict[str, Tensor]]  # by norm, its variance with noise of that kind

_ARRIVED = 1e-5  # of the largest input: more than rounding does
_ALIKE = 1e-5  # relative, of variances


@dataclass(eq=False)
class PassOrder(Recorder):
    """One training pass: the modules and norms in the order they ran, and what went into them."""

    norm_calls: dict[str, int] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)
    order: list[str] = field(default_factory=list)
    weights: set[str] = field(default_factory=set)
    given: dict[str, bool] = field(default_factory=dict)  # path → whether maps went in

    def norm(self, call: NormCall) -> None:
        """A norm is about to normalise its input."""
        self.norm_calls[call.path] = self.norm_calls.get(call.path, 0) + 1
        self.order.append(f"norm {call.path}")
        if not call.handle.module.training:
            self.frozen.add(call.path)

    def entered(self, path: str) -> Callable[..., None]:
        """A hook for the module at `path`."""

        def hook(module: nn.Module, inputs: tuple[Any, ...], _: dict[str, Any]) -> None:
            self.order.append(path)
            if isinstance(module, WEIGHTED):
                self.weights.add(path)
            if noisable(inputs) and path not in self.given:
                self.given[path] = _maps(inputs[0])

        return hook

    def weighs(self, place: str, norm: str) -> bool:
        """Whether weights ran from the place on, before the norm."""
        between = self.order[self.order.index(place) : self.order.index(f"norm {norm}")]
        return any(path in self.weights for path in between)


def _maps(x: Tensor) -> bool:
    """Whether it has several channels, of several positions each."""
    return x.dim() > 2 and x.shape[1] > 1 and x.shape[2:].numel() > 1


def meet(run: Session, batch: Batch, flags: Flags) -> PassOrder:
    """Watch one training pass."""
    met = PassOrder()
    enter = {path: met.entered(path) for path, _ in walk(run.model) if path}
    run.once(batch, Regime(flags, record=(met,), enter=enter))
    return met


@dataclass(frozen=True)
class PlaceReach:
    """The norms that noise of a place reaches with no judged norm between, in the order they run.

    `alike`: other places whose noise does just the same. `noises`: what may have stood there.
    """

    path: str
    reach: tuple[str, ...]
    placement: Literal["a", "b"]
    noises: tuple[NoisePlace, ...]
    alike: tuple[str, ...] = ()


def routes(
    run: Session, batch: Batch, flags: Flags, met: PassOrder, tried: list[str], judged: list[str]
) -> list[PlaceReach]:
    """A route for each of the `tried` places that reaches a judged norm; equal ones are one."""
    modules = dict(walk(run.model))
    base = Inside(judged, Injector({}, {}), hold=True)
    run.once(batch, Regime(flags, record=(base,)))
    found: list[tuple[PlaceReach, Arrived]] = []
    for path in tried:
        kinds = kinds_at(path, modules[path], met.given[path])
        arrived = {each.noise: _arrived(run, batch, flags, each, base) for each in kinds}
        reach = tuple(norm for norm in judged if norm in arrived["element"])
        if reach:
            placement: Literal["a", "b"] = "b" if met.weighs(path, reach[0]) else "a"
            _added(found, PlaceReach(path, reach, placement, tuple(kinds)), arrived)
    return [route for route, _ in found]


class _Arrivals(Inside):
    """Which norms receive another input than they did in `base`."""

    def __init__(self, base: Inside, injector: Injector) -> None:
        super().__init__((), injector)
        self.base = base
        self.found: dict[str, Tensor] = {}

    def norm(self, call: NormCall) -> None:
        """A norm is about to normalise its input."""
        held = self.base.inputs.get(call.path)
        if held is None or held.shape != call.x.shape:
            return
        moved = (call.x - held).abs().max()
        if bool(moved > _ARRIVED * held.abs().max()):
            self.found[call.path] = channel_moments(call.x).var().cpu()


def _arrived(
    run: Session, batch: Batch, flags: Flags, place: NoisePlace, base: Inside
) -> dict[str, Tensor]:
    """The variances of the norms that noise of this kind and place reaches."""
    # One number for all: two places before the same tensor are then given the same noise.
    injector = Injector({place: 0}, {}, {place: Nudge(NUDGE, 1)})
    arrivals = _Arrivals(base, injector)
    regime = Regime(flags, record=(arrivals,), insert=injector.inserts(), norms=base.as_before)
    run.once(batch, regime)
    return arrivals.found


def _added(found: list[tuple[PlaceReach, Arrived]], route: PlaceReach, arrived: Arrived) -> None:
    """Add a route, or what of it does not do the same as an earlier one."""
    for index, (other, held) in enumerate(found):
        if other.reach != route.reach:
            continue
        same = {kind for kind in held.keys() & arrived.keys() if _same(held[kind], arrived[kind])}
        if "element" in same:
            found[index] = (_one(other, route), held)
            return
        # Before a pool or behind it, whole maps that are dropped are the same maps.
        left = tuple(each for each in route.noises if each.noise not in same)
        route = replace(route, noises=left)
    found.append((route, arrived))


def _same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        torch.allclose(one[norm], other[norm], rtol=_ALIKE) for norm in one
    )


def _one(first: PlaceReach, second: PlaceReach) -> PlaceReach:
    """Two places that cannot be told apart, under the name of the first."""
    usual = {place.noise for place in (*first.noises, *second.noises) if place.usual}
    noises = tuple(replace(place, usual=place.noise in usual) for place in first.noises)
    return replace(first, noises=noises, alike=(*first.alike, second.path))
