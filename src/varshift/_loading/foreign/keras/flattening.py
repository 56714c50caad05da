"""Whose inputs are flattened maps: Keras flattens channels last, torch channels first."""

from __future__ import annotations

import math
from collections.abc import Mapping

from varshift._loading.foreign.keras.config import LayerConfig

__all__ = ["flattened"]

_PASSING = {
    *("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "ThresholdedReLU", "Softmax"),
    *("Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise", "ActivityRegularization"),
    *("BatchNormalization", "SyncBatchNormalization", "LayerNormalization", "BatchNormalizationV1"),
}
_ON_MAPS = {
    *(f"SpatialDropout{n}D" for n in (1, 2, 3)),
    *(f"{kind}Pooling{n}D" for kind in ("Max", "Average") for n in (1, 2, 3)),
    *(f"{kind}{n}D" for kind in ("ZeroPadding", "Cropping", "UpSampling") for n in (1, 2, 3)),
}
_ALIKE = {"Add", "Multiply", "Average", "Maximum", "Minimum", "Subtract"}
_CONVOLVING = ("Conv", "SeparableConv")
# What comes out of these is flat, or keeps its channels last: nothing was flattened into it.
_FRESH = {"Dense", "Embedding", "LSTM", "GRU"}


def flattened(at: LayerConfig, by_path: Mapping[str, LayerConfig]) -> int | None:
    """Channels of the maps flattened into this layer's input; 0 where none, None if not told."""
    for _ in range(len(by_path) + 1):
        if not at.inputs:
            return _at_the_input(at)
        if len(at.inputs) > 1 or at.inputs[0] not in by_path:
            return None
        at = by_path[at.inputs[0]]
        if at.class_name == "Flatten" or (at.class_name == "Reshape" and _to_one(at)):
            return _flattening(at, by_path)
        if at.class_name in _FRESH | _ON_MAPS | _ALIKE or at.class_name.startswith("Global"):
            return 0
        if at.class_name.startswith(_CONVOLVING) or at.class_name.startswith("Depthwise"):
            return 0
        if at.class_name == "Reshape":
            return None
        if at.class_name not in _PASSING:
            return None
    return None


def _at_the_input(at: LayerConfig) -> int | None:
    """The first layer takes what the user has; that of a model inside, what the outer one made."""
    told = at.class_name == "InputLayer" or "batch_input_shape" in at.config
    return 0 if told and "/" not in at.path else None


def _to_one(at: LayerConfig) -> bool:
    return len(at.config.get("target_shape") or ()) == 1


def _flattening(at: LayerConfig, by_path: Mapping[str, LayerConfig]) -> int | None:
    if at.shape is not None and len(at.shape) == 2:
        return 0
    maps = _maps(at, by_path)
    if maps is None:
        return None
    channels, first = maps
    # Flatten turns channels-first maps round where it is told that they are so.
    return 0 if first and at.config.get("data_format") != "channels_first" else channels


def _maps(at: LayerConfig, by_path: Mapping[str, LayerConfig]) -> tuple[int, bool] | None:
    """Channels of the maps that this layer takes, and whether they stand before the places."""
    shape = at.shape
    for _ in range(len(by_path) + 1):
        if not at.inputs or at.inputs[0] not in by_path:
            told = at.config.get("batch_input_shape")
            return (told[-1], False) if isinstance(told, list) and len(told) > 2 else None
        at = by_path[at.inputs[0]]
        first = at.config.get("data_format") == "channels_first"
        name = at.class_name
        if name.startswith(_CONVOLVING):
            return _whole(at.config.get("filters"), first)
        if name == "Reshape":
            target = at.config.get("target_shape") or []
            return _whole(target[-1] if len(target) > 1 else None, False)
        if name == "InputLayer":
            told = at.config.get("batch_shape") or at.config.get("batch_input_shape") or []
            return _whole(told[-1] if len(told) > 2 else None, False)
        if name.startswith("DepthwiseConv"):
            before = _maps(at, by_path)
            wide = at.config.get("depth_multiplier")
            return None if before is None or not wide else (before[0] * int(wide), first)
        if name == "Concatenate":
            return None if shape is None or first else _whole(shape[-1], False)
        if name not in _PASSING | _ON_MAPS | _ALIKE:
            return None
    return None


def _whole(told: object, first: bool) -> tuple[int, bool] | None:
    return (told, first) if isinstance(told, int) and 0 < told < math.inf else None
