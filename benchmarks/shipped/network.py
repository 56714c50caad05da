"""What is known of one shipped network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from benchmarks.shipped.mixture import Array


@dataclass(frozen=True)
class Truth:
    """The dropout before one norm: `drop_p` on the input of the module `place`."""

    drop_p: float
    place: str


CLEAN = Truth(0.0, "")


@dataclass(frozen=True)
class Network:
    """A network out of a wheel: how to build it, what to feed it, what it was trained with.

    Attributes:
        name: for the table.
        source: package, version and file.
        load: makes it, without any dropout.
        groups: of the audio it gets, a function that makes groups of inputs.
        fitted: norms whose stored statistics choose the shares of the groups; none for equal ones.
        truths: by norm, in the order of the data, the dropout since the norm before.
        written: where the truth can be read.
        momentum: of its norms in training, in torch's sense.
        batches: how many it gets.
        everywhere: whether all places are tried, which takes long, or inputs of weights alone.
        size: inputs of a batch.
    """

    name: str
    source: str
    load: Callable[[], nn.Sequential]
    groups: Callable[[], list[Array]]
    fitted: tuple[str, ...]
    truths: dict[str, Truth]
    written: str
    momentum: float
    batches: int
    everywhere: bool = True
    size: int = 32
