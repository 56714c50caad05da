"""What a file of another framework holds: layers with arrays by role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

__all__ = ["Array", "ForeignFile", "ForeignLayer", "Layout"]

Array = NDArray[Any]
Layout = str  # "last" as Keras and TensorFlow keep kernels, "first" as torch and ONNX do


@dataclass(frozen=True)
class ForeignLayer:
    """One layer of the file.

    Attributes:
        name: as the file calls it, with slashes between folders.
        kind: "conv", "depthwise", "transposed", "dense", "norm", "layernorm", "embedding"
            or "other"; "convolution" where the file does not tell which of the first three.
        arrays: by role, in the file's own shapes: "kernel", "bias"; of a norm "gamma", "beta",
            "moving_mean", "moving_variance"; of others their own names. What a layer was made
            without (`scale=False`) is not there.
        layout: "last" for kernels (…, in, out), "first" for kernels (out, in, …).
        eps: what a norm adds to the variance; None where the file does not tell.
        momentum: of a norm's statistics, in torch's sense (the share of the new batch); None
            where the file does not tell. Keras' 0.99 is 0.01 here.
        flattened: channels of the channels-last maps that were flattened into this layer's input;
            0 where nothing was, None where the file does not tell.
    """

    name: str
    kind: str
    arrays: Mapping[str, Array]
    layout: Layout = "last"
    eps: float | None = None
    momentum: float | None = None
    flattened: int | None = None


@dataclass(frozen=True)
class ForeignFile:
    """All layers with weights of one file.

    Attributes:
        format: "Keras", "TensorFlow" or "ONNX".
        layers: in the order of the network where `ordered` says so.
        ordered: "network" where the file tells the network's order, "names" where layers stand
            in the order of their names.
        others: what the file holds beside layers: an optimiser's slots, counters.
        notes: what a reader should know of how it was read.
    """

    format: str
    layers: tuple[ForeignLayer, ...]
    ordered: str = "network"
    others: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
