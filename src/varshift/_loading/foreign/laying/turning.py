"""A layer's arrays as torch has them: axes turned, names changed, what is missing put in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from varshift._loading.foreign.layers import Array, ForeignLayer
from varshift._loading.foreign.laying.own import OwnLayer

__all__ = ["completed", "fits"]

_ALIKE = {
    "conv": {"conv", "depthwise", "convolution"},
    "transposed": {"transposed", "convolution"},
    "prelu": {"other"},
    "other": set[str](),
}
_NAMES = {
    **{"gamma": "weight", "beta": "bias", "bias": "bias", "kernel": "weight"},
    **{"moving_mean": "running_mean", "moving_variance": "running_var"},
    **{"depthwise_kernel": "weight", "embeddings": "weight", "alpha": "weight"},
}
# What a layer without it does: scale by 1, add 0.
_NEUTRAL = {"norm": {"weight": 1.0, "bias": 0.0}, "layernorm": {"weight": 1.0, "bias": 0.0}}
_NO_BIAS = {"bias": 0.0}


def _torch_arrays(own: OwnLayer, layer: ForeignLayer) -> dict[str, Array]:
    """The layer's arrays by torch's names and in torch's layout, for that module."""
    layer = _read_for(own, layer)
    return {
        _NAMES[role]: _as_torch(role, array, layer, own)
        for role, array in layer.arrays.items()
        if role in _NAMES
    }


def _read_for(own: OwnLayer, layer: ForeignLayer) -> ForeignLayer:
    """Where the file does not tell what kind of convolution it is, the module does."""
    if layer.kind != "convolution" or own.kind not in ("conv", "transposed"):
        return layer
    kernel = layer.arrays["kernel"]
    if own.kind == "conv" and own.told("groups") == kernel.shape[-2] > 1:
        held = {role: array for role, array in layer.arrays.items() if role != "kernel"}
        return replace(layer, kind="depthwise", arrays={"depthwise_kernel": kernel, **held})
    return replace(layer, kind=own.kind)


def completed(own: OwnLayer, layer: ForeignLayer) -> dict[str, Array]:
    """The same with what the layer was made without and the module has: that which does nothing."""
    arrays = _torch_arrays(own, layer)
    lacking = {
        name: np.full(tuple(own.tensors[name].shape), value, np.float32)
        for name, value in _neutral(own).items()
        if name in own.tensors and name not in arrays
    }
    return {**arrays, **lacking}


def fits(own: OwnLayer, layer: ForeignLayer) -> bool:
    """Whether the layer is of the module's kind and shapes."""
    if layer.kind not in _ALIKE.get(own.kind, {own.kind}):
        return False
    arrays = _torch_arrays(own, layer)
    if _read_for(own, layer).kind == "depthwise":
        groups = layer.arrays.get("depthwise_kernel", layer.arrays.get("kernel"))
        if groups is None or groups.ndim < 3 or own.told("groups") != groups.shape[-2]:
            return False
    for name, value in own.tensors.items():
        shape = arrays[name].shape if name in arrays else None
        if shape is None and name in _neutral(own) and not _hidden(own, layer):
            continue
        if shape != tuple(value.shape):
            return False
    return not any(_does(name, arrays[name], own) for name in arrays.keys() - own.tensors.keys())


def _does(name: str, array: Array, own: OwnLayer) -> bool:
    """Whether something that the module has no place for changes what the layer gives."""
    neutral = _neutral(own)
    return name not in neutral or bool((array != neutral[name]).any())


def _hidden(own: OwnLayer, layer: ForeignLayer) -> bool:
    """Whether a bias may stand elsewhere: a graph may add it by an operation of its own."""
    return layer.layout == "first" and own.kind in ("conv", "transposed", "dense")


def _neutral(own: OwnLayer) -> Mapping[str, float]:
    return _NEUTRAL.get(own.kind, _NO_BIAS)


def _as_torch(role: str, array: Array, layer: ForeignLayer, own: OwnLayer) -> Array:
    if role == "alpha":  # of PReLU: shared over places, (1, 1, C) or (C, 1, 1)
        return array.reshape(-1) if array.size == max(array.shape, default=1) else array
    if layer.layout == "last":
        if role == "kernel":
            array = _kernel(array, layer)
        elif role == "depthwise_kernel" and array.ndim > 2:
            # (…, in, multiplier), and in * multiplier come out
            array = np.moveaxis(array, (-2, -1), (0, 1))
            array = array.reshape(-1, 1, *array.shape[2:])
    if role in ("kernel", "depthwise_kernel"):
        array = _of_rank(array, own)
    if layer.flattened and array.ndim and role not in ("bias", "depthwise_kernel"):
        array = _unflattened(array, layer)
    return array


def _of_rank(array: Array, own: OwnLayer) -> Array:
    """A kernel for sequences may be kept as one for maps, with an axis of 1, and the reverse."""
    wanted = own.shape
    if array.ndim == len(wanted) or array.ndim < 3 or len(wanted) < 3:
        return array
    wide = [[size for size in shape[2:] if size > 1] for shape in (array.shape, wanted)]
    same = array.shape[:2] == wanted[:2] and wide[0] == wide[1]
    return array.reshape(wanted) if same else array


def _kernel(array: Array, layer: ForeignLayer) -> Array:
    """(…, in, out) to (out, in, …); a transposed one's (…, out, in) to (in, out, …), the same."""
    if layer.kind not in ("conv", "transposed", "dense") or array.ndim < 2:
        return array
    return np.moveaxis(array, (-1, -2), (0, 1))


def _unflattened(array: Array, layer: ForeignLayer) -> Array:
    """The last axis from (places, channels), as channels-last maps flatten, to torch's order."""
    channels, wide = layer.flattened or 1, array.shape[-1]
    if layer.kind not in ("dense", "norm", "layernorm") or wide % channels:
        return array
    places = wide // channels
    split = array.reshape(*array.shape[:-1], places, channels)
    return np.swapaxes(split, -1, -2).reshape(array.shape)
