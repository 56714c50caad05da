"""Where each noise is drawn: a module that does nothing else, a plain rate, or code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine.batches import Forward, call, one_batch, tensors_of
from varshift._engine.borrow.bits import same_bits
from varshift._engine.borrow.model import borrowed, unwrapped
from varshift._engine.borrow.walk import walk
from varshift._rewrite.journal import Home, homes
from varshift.errors import ModelError
from varshift.results.structure import Noise, Structure

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
    """The places of all noises, each seen at work in one more training pass."""
    inner = unwrapped(model)
    modules = dict(walk(inner))
    found: dict[str, Place] = {}
    for noise in structure.noises:
        if noise.module and noise.path in modules:
            held = found.setdefault(noise.path, Place(noise.path, modules[noise.path]))
            held.noises.append(noise)
    for place in found.values():
        place.homes = homes(inner, place.module)
    leaves = [place for place in found.values() if _bare(place.module)]
    with borrowed(model), ExitStack() as taps:
        batch = one_batch(example, inner, forward=forward, device=device)
        if not inner.training:
            inner.train()
        for place in leaves:
            tap = place.module.register_forward_pre_hook(_look(place), with_kwargs=True)
            taps.callback(tap.remove)
        call(inner, batch, forward)
    return list(found.values())


@contextmanager
def taken_out(modules: list[nn.Module]) -> Iterator[None]:
    """Raise at the end of the block if one of the modules still ran in it."""
    seen: list[nn.Module] = []
    with ExitStack() as taps:
        for module in modules:
            handle = module.register_forward_pre_hook(lambda held, _: seen.append(held))
            taps.callback(handle.remove)
        yield
    if seen:
        raise ModelError(
            f"{seen[0]!r} was taken out, but still runs: the model also holds it where torch does "
            "not register it (a list, a closure); use nn.ModuleList there"
        )


def _bare(module: nn.Module) -> bool:
    scripted = isinstance(module, torch.jit.ScriptModule)
    return not (scripted or module._modules or module._parameters or module._buffers)


def _look(place: Place) -> Callable[..., None]:
    def look(module: nn.Module, args: Any, kwargs: Any) -> None:
        tensors = list(tensors_of([args, kwargs]))
        place.ranks |= {tensor.ndim for tensor in tensors[:1]}
        place.same = (
            place.same is not False and len(tensors) == 1 and _returns(module, args, kwargs)
        )

    return look


def _returns(module: nn.Module, args: Any, kwargs: Any) -> bool:
    """Whether the module in eval mode gives its one input back."""
    x = next(tensors_of([args, kwargs]))
    fresh = [x.clone() if value is x else value for value in args]
    named = {name: x.clone() if value is x else value for name, value in kwargs.items()}
    flag, module.training = module.training, False
    try:
        out = module.forward(*fresh, **named)
    finally:
        module.training = flag
    return isinstance(out, Tensor) and same_bits(out, x)
