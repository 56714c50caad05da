"""One architecture on loan: a model, how its inputs are drawn, how it is called."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

__all__ = [
    "LARGEST",
    "LeftOut",
    "PutOff",
    "Specimen",
    "call",
    "norms",
    "on_meta",
    "revived",
    "tested",
]


class LeftOut(Exception):
    """Nothing to read here: no batch norm, or the library itself cannot build or run it."""


class PutOff(Exception):
    """More parameters than are read at present; they are its argument."""


LARGEST: ContextVar[float] = ContextVar("parameters", default=math.inf)


@dataclass(frozen=True)
class Specimen:
    """What a library gave.

    Attributes:
        model: in training mode, its noise on.
        draw: a batch of so many samples.
        forward: how a batch is passed; None where the model takes it as it is.
        told: the input and the options, in words.
        samples: how many samples a batch holds for reading.
    """

    model: nn.Module
    draw: Callable[[int], Any]
    forward: Callable[[nn.Module, Any], Any] | None = None
    told: str = ""
    samples: int = 4


def call(lent: Specimen, batch: Any) -> Any:
    """One forward, as varshift would do it; without gradients."""
    with torch.no_grad():
        if lent.forward is not None:
            return lent.forward(lent.model, batch)
        return lent.model(**batch) if isinstance(batch, dict) else lent.model(batch)


def norms(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Modules with running statistics, by path."""
    for path, module in model.named_modules():
        if isinstance(getattr(module, "running_mean", None), Tensor):
            yield path, module


def on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    """The model without its memory, to see what is in it.

    Raises:
        LeftOut: it has no batch norm.
        PutOff: it has more than `LARGEST` parameters.
    """
    try:
        with torch.device("meta"):
            model = make()
    except NotImplementedError:  # its constructor computes with tensors
        model = make()
    if not any(True for _ in norms(model)):
        raise LeftOut("no batch norm with running statistics")
    size = sum(parameter.numel() for parameter in model.parameters())
    if size > LARGEST.get():
        raise PutOff(size)
    return model


def tested(lent: Specimen) -> Specimen:
    """The same, after a training forward; LeftOut with what the library said where it has none."""
    if not any(True for _ in norms(lent.model)):
        raise LeftOut("no batch norm with running statistics")
    try:
        call(lent, lent.draw(lent.samples))
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as failed:
        said = f"{type(failed).__name__}: {failed}".splitlines()[0]
        raise LeftOut(f"does not run by itself: {said}") from failed
    return lent


def revived(model: nn.Module) -> nn.Module:
    """Parameters that start at zero are drawn: behind a scale of 0 no noise is seen to act."""
    with torch.no_grad():
        scales = {id(module.weight) for _, module in norms(model) if module.weight is not None}
        for parameter in model.parameters():
            if not parameter.any():
                parameter.uniform_(*((0.5, 1.5) if id(parameter) in scales else (-0.1, 0.1)))
    return model.train()
