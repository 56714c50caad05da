"""Where each noise is drawn: a module that does nothing else, a plain rate, or code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine import (
    Forward,
    Regime,
    ran_of,
    same_bits,
    session,
    tensors_of,
    unwrapped,
    walk,
)
from varshift._rewrite.journal import Home, homes
from varshift.errors import ModelError
from varshift.results import Noise, Structure

__all__ = ["Place", "places", "taken_out"]

# Their `dropout` is a plain number that the next forward reads.
_PLAIN_RATE = (nn.MultiheadAttention, nn.RNNBase)


@dataclass(eq=False)
class Place:
    """A module at whose path noise was drawn, with everything that it draws.

    Attributes:
        noises: its sources, silent ones included.
        homes: every place in which the module object is registered.
        ranks: number of dimensions of the inputs it saw.
        same: whether each input came back unchanged, bit for bit, with the module in eval mode;
            None where no input reached it.
    """

    path: str
    module: nn.Module
    noises: list[Noise] = field(default_factory=list)
    homes: list[Home] = field(default_factory=list)
    ranks: set[int] = field(default_factory=set)
    same: bool | None = None

    @property
    def pure(self) -> bool:
        """Whether the module is noise and nothing else, so that another can stand in its place."""
        return bool(self.same) and bool(self.homes)

    @property
    def plain(self) -> float | None:
        """The module's `dropout`, where torch reads the rate off that plain number."""
        return float(self.module.dropout) if isinstance(self.module, _PLAIN_RATE) else None

    def said(self, drop_p: float) -> tuple[str, str]:
        """A plain rate as it is, and as it is to be."""
        name = type(self.module).__name__
        return f"{name}.dropout = {self.plain:g}", f"{name}.dropout = {drop_p:g}"


def places(
    model: nn.Module,
    example: Any,
    structure: Structure,
    *,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
) -> list[Place]:
    """The places of all noises, seen in one more training pass in which layers of noise are off."""
    inner = unwrapped(model)
    modules = dict(walk(inner))
    found: dict[str, Place] = {}
    for noise in structure.noises:
        if noise.module and noise.path in modules:
            held = found.setdefault(noise.path, Place(noise.path, modules[noise.path]))
            held.noises.append(noise)
    for place in found.values():
        place.homes = homes(inner, place.module)
    looks = {path: _Look(place) for path, place in found.items() if _bare(place.module)}
    off = {id(look.place.module) for look in looks.values()}
    with session(model, forward=forward, device=device) as run:
        regime = Regime(
            [(module, flag and id(module) not in off) for module, flag in run.on],
            enter={path: look.enter for path, look in looks.items()},
            watch={path: look.leave for path, look in looks.items()},
        )
        run.once(run.example(example), regime)
    return list(found.values())


@contextmanager
def taken_out(modules: list[nn.Module]) -> Iterator[None]:
    """Raise at the end of the block if one of the modules still ran in it."""
    with ran_of(modules) as ran:
        yield
    if ran:
        raise ModelError(
            f"{ran[0]!r} was taken out, but still runs: the model also holds it where torch does "
            "not register it (a list, a closure); use nn.ModuleList there"
        )


def _bare(module: nn.Module) -> bool:
    scripted = isinstance(module, torch.jit.ScriptModule)
    return not (scripted or module._modules or module._parameters or module._buffers)


class _Look:
    """Whether a place in evaluation mode gives its one input back, whenever it runs."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._given: Tensor | None = None

    def enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        """It starts: keep a copy of its input, into which it may write."""
        tensors = list(tensors_of([args, kwargs]))
        self.place.ranks |= {tensor.ndim for tensor in tensors[:1]}
        self._given = tensors[0].clone() if len(tensors) == 1 else None

    def leave(self, module: nn.Module, args: Any, out: Any) -> None:
        """It is done."""
        back = self._given is not None and isinstance(out, Tensor) and same_bits(out, self._given)
        self.place.same = self.place.same is not False and back
        self._given = None
