"""inaSpeechSegmenter's three Keras files: convolutions, then Dense → norm → ReLU → dropout.

The layers, their order and the rates of dropout are read from the file's own `model_config`.
"""

from __future__ import annotations

import io
import json
from collections import OrderedDict
from typing import Any

import h5py
import numpy as np
import torch
from torch import nn

from benchmarks.shipped.network import Truth
from benchmarks.shipped.wheels import member

WRITTEN = "`model_config` of the file itself: its Dropout layers name their rates"
Layer = dict[str, Any]


def load(name: str) -> nn.Sequential:
    """A file such as "male_female", (N, 68, mels) → (N, classes), in evaluation mode."""
    with _file(name) as file:
        net = _net(_layers(file))
        state = {}
        for path, module in net.named_children():
            weights = file["model_weights"].get(path, {})
            arrays = {k.split(":")[0]: np.asarray(v) for k, v in _leaves(weights)}
            state.update(_state(path, module, arrays))
    net.load_state_dict(state, strict=False)  # all but num_batches_tracked
    return net.eval()


def drops(name: str) -> dict[str, Truth]:
    """Of each norm, the rate of the last Dropout layer since the norm before; 0 without one."""
    truths: dict[str, Truth] = {}
    rate, place = 0.0, ""
    with _file(name) as file:
        for layer in _layers(file):
            kind, config = layer["class_name"], layer["config"]
            if kind == "Dropout":
                rate = config["rate"]
            elif kind in ("Dense", "Conv2D"):
                place = config["name"]
            elif kind == "BatchNormalization":
                truths[config["name"]] = Truth(rate, place if rate else "")
                rate = 0.0
    return truths


def _file(name: str) -> h5py.File:
    path = f"inaSpeechSegmenter/keras_{name}_cnn.hdf5"
    return h5py.File(io.BytesIO(member("inaSpeechSegmenter", "0.6.8", path)))


def _layers(file: h5py.File) -> list[Layer]:
    config = json.loads(file.attrs["model_config"])["config"]
    layers: list[Layer] = config["layers"] if isinstance(config, dict) else config
    return layers


def _leaves(group: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key in group:
        if isinstance(group[key], h5py.Dataset):
            found.append((key, group[key]))
        else:
            found += _leaves(group[key])
    return found


def _net(layers: list[Layer]) -> nn.Sequential:
    """The same layers without the dropout, each under its Keras name."""
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    shape: tuple[int, ...] = ()  # (C, H, W) on its way, then (features,)
    for layer in layers:
        kind, config = layer["class_name"], layer["config"]
        if kind == "Dropout":
            continue
        module, shape = _module(kind, config, shape)
        modules[config["name"]] = module
        if config.get("activation", "linear") == "softmax":
            modules["softmax"] = nn.Softmax(1)
    return nn.Sequential(modules)


def _module(kind: str, config: Layer, shape: tuple[int, ...]) -> tuple[nn.Module, tuple[int, ...]]:
    if kind == "Reshape":
        height, width = config["batch_input_shape"][1:]
        return nn.Unflatten(1, (1, height)), (1, height, width)
    if kind == "Conv2D":
        conv = nn.Conv2d(shape[0], config["filters"], tuple(config["kernel_size"]))
        sides = (n - k + 1 for n, k in zip(shape[1:], config["kernel_size"], strict=True))
        return conv, (config["filters"], *sides)
    if kind == "BatchNormalization":
        of = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
        # Keras says how much of the old average is kept, torch how much comes anew.
        momentum = 1 - config["momentum"]
        return of(shape[0], eps=config["epsilon"], momentum=momentum), shape
    if kind == "Activation":
        return nn.ReLU(), shape
    if kind == "MaxPooling2D":
        return _pool(config, shape)
    if kind == "Flatten":
        if shape[1:] != (1, 1):
            raise NotImplementedError("a flatten of more than one position turns the order")
        return nn.Flatten(), shape[:1]
    if kind == "Dense":
        return nn.Linear(shape[0], config["units"]), (config["units"],)
    raise NotImplementedError(f"layer {config['name']} is a {kind}")


def _pool(config: Layer, shape: tuple[int, ...]) -> tuple[nn.Module, tuple[int, ...]]:
    """Keras pads "same" half before and half behind, the odd one behind."""
    before, sides = [], []
    for n, k, s in zip(shape[1:], config["pool_size"], config["strides"], strict=True):
        same = config["padding"] == "same"
        sides.append(-(-n // s) if same else (n - k) // s + 1)
        before.append(max((sides[-1] - 1) * s + k - n, 0) // 2 if same else 0)
    pool = nn.MaxPool2d(
        tuple(config["pool_size"]),
        tuple(config["strides"]),
        padding=(before[0], before[1]),
        ceil_mode=config["padding"] == "same",
    )
    return pool, (shape[0], *sides)


def _state(path: str, module: nn.Module, arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    if isinstance(module, nn.Conv2d):
        arrays = {"weight": arrays["kernel"].transpose(3, 2, 0, 1), "bias": arrays["bias"]}
    elif isinstance(module, nn.Linear):
        arrays = {"weight": arrays["kernel"].T, "bias": arrays["bias"]}
    elif arrays:
        names = {"gamma": "weight", "beta": "bias"}
        names |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
        arrays = {names[key]: value for key, value in arrays.items()}
    return {
        f"{path}.{key}": torch.tensor(np.ascontiguousarray(value)) for key, value in arrays.items()
    }
