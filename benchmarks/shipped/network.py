"""What is known of one shipped network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Network:
    """A network out of a wheel: how to build it, what to feed it, and what it was trained with.

    `drops` has, for each norm in the order of the data, the rate of the dropout that stood between
    the norm before and this one (0 where none did), and the module whose input it was.
    `written` says where that can be read.
    """

    name: str
    file: str
    build: Callable[[], nn.Module]
    batches: Callable[[], list[Tensor]]
    drops: dict[str, Truth]
    written: str
    momentum: float
    audio: str


@dataclass(frozen=True)
class Truth:
    """The dropout before one norm: `drop_p` on the input of the module `place`."""

    drop_p: float
    place: str


CLEAN = Truth(0.0, "")
