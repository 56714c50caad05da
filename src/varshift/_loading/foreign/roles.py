"""What an array is to its layer, by the name it has, and what kind of layer such arrays make."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from varshift._loading.foreign.layers import Array, ForeignLayer

__all__ = ["by_layer", "kind_of", "natural", "role_of", "split"]

_ROLES = {
    **{name: name for name in ("kernel", "bias", "gamma", "beta", "moving_mean")},
    **{name: name for name in ("moving_variance", "depthwise_kernel", "pointwise_kernel")},
    **{name: name for name in ("embeddings", "alpha", "recurrent_kernel")},
    # Layers that were written by hand for TensorFlow 1, and slim's.
    **{"weights": "kernel", "biases": "bias", "depthwise_weights": "depthwise_kernel"},
    "pointwise_weights": "pointwise_kernel",
}
# Arrays that only one kind of layer has.
_MARKS = {
    **{"moving_mean": "norm", "pointwise_kernel": "separable", "depthwise_kernel": "depthwise"},
    "embeddings": "embedding",
}
_KINDS = {
    **{"Dense": "dense", "EinsumDense": "other", "DepthwiseConv1D": "depthwise"},
    **{"DepthwiseConv2D": "depthwise", "BatchNormalization": "norm", "Embedding": "embedding"},
    **{"SyncBatchNormalization": "norm", "LayerNormalization": "layernorm"},
    "GroupNormalization": "layernorm",
    **{f"Conv{n}D": "conv" for n in (1, 2, 3)},
    **{f"Conv{n}DTranspose": "transposed" for n in (1, 2, 3)},
    **{f"SeparableConv{n}D": "separable" for n in (1, 2)},
    **{f"Convolution{n}D": "conv" for n in (1, 2, 3)},
}


def role_of(name: str) -> str | None:
    """The role of an array whose name ends so; None for a slot, a counter and the like."""
    return _ROLES.get(name.rpartition("/")[2].split(":")[0].removeprefix("_"))


def kind_of(arrays: Mapping[str, Array], class_name: str | None = None) -> str:
    """The kind of a layer of that class; where the class is not told, the one its arrays make."""
    if class_name in _KINDS:
        return _KINDS[class_name]
    if class_name is not None and class_name.startswith("BatchNormalization"):
        return "norm"  # BatchNormalizationV1 of TensorFlow 1
    for role, kind in _MARKS.items():
        if role in arrays:
            return kind
    if class_name is not None or "recurrent_kernel" in arrays:
        return "other"
    rank = arrays["kernel"].ndim if "kernel" in arrays else 0
    if rank > 1:
        return "dense" if rank == 2 else "convolution"
    return "layernorm" if {"gamma", "beta"} & arrays.keys() else "other"


def split(layer: ForeignLayer) -> Iterator[ForeignLayer]:
    """The layer; a separable convolution as the two that torch makes of it."""
    held = dict(layer.arrays)
    if layer.kind == "depthwise" and "kernel" in held:  # as Keras 3 came to call it
        layer = replace(layer, arrays={"depthwise_kernel": held.pop("kernel"), **held})
    if layer.kind != "separable" or not {"depthwise_kernel", "pointwise_kernel"} <= held.keys():
        yield layer
        return
    deep = {"depthwise_kernel": held.pop("depthwise_kernel")}
    held["kernel"] = held.pop("pointwise_kernel")
    yield replace(layer, name=f"{layer.name}/depthwise", kind="depthwise", arrays=deep)
    yield replace(layer, name=f"{layer.name}/pointwise", kind="conv", arrays=held)


def by_layer(names: Iterable[str]) -> tuple[dict[str, dict[str, str]], tuple[str, ...]]:
    """Role to full name for each layer, layers as they come first; and the names of no role."""
    found: dict[str, dict[str, str]] = {}
    others = []
    for name in names:
        role = role_of(name)
        if role is None:
            others.append(name)
        else:
            found.setdefault(name.rpartition("/")[0], {})[role] = name
    return found, tuple(others)


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key in which conv_2 stands before conv_10, and conv before conv_1."""
    parts = re.findall(r"\d+|[^\d/]+|/", name)
    return tuple((1, int(p), "") if p.isdigit() else (0, 0, p) for p in parts)
