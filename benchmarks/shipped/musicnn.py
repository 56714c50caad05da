"""musicnn's vgg taggers: five blocks conv → ReLU → norm → pool over log-mel patches.

The pools are those of the graphs in the wheel (`.meta`): MSD_vgg was trained with others than
the function `vgg` of the package's models.py has, which are MTT_vgg's.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.shipped.network import CLEAN, Truth
from benchmarks.shipped.wheels import member
from varshift._loading.foreign.reading import read_foreign

Size = tuple[int, int]
POOLS: dict[str, list[tuple[Size, Size]]] = {  # size and stride, (time, frequency)
    "MSD_vgg": [((4, 1),) * 2, ((1, 4),) * 2, ((2, 2),) * 2, ((2, 2),) * 2, ((4, 4),) * 2],
    "MTT_vgg": [((4, 1), (2, 2)), *[((2, 2),) * 2] * 3, ((4, 4),) * 2],
}
WIDTH, EPS = 128, 1e-3
WRITTEN = "musicnn/models.py in the wheel: `dropout(…, rate=0.25)` before 2CNN to 5CNN"


def load(name: str) -> nn.Sequential:
    """MSD_vgg or MTT_vgg, (N, 187, 96) → (N, 50), evaluation mode."""
    net = _net(POOLS[name])
    net.load_state_dict(_state(_arrays(name)), strict=False)  # all but num_batches_tracked
    return net.eval()


def drops() -> dict[str, Truth]:
    """The norm of the input and the first after a convolution are clean."""
    later = {f"batch_normalization_{i}": Truth(0.25, f"{i}CNN") for i in range(2, 6)}
    return {"batch_normalization": CLEAN, "batch_normalization_1": CLEAN, **later}


def _net(pools: list[tuple[Size, Size]]) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict(expand=nn.Unflatten(1, (1, 187)))
    layers["batch_normalization"] = nn.BatchNorm2d(1, eps=EPS, momentum=0.01)
    for i, (size, stride) in enumerate(pools, start=1):
        layers[f"{i}CNN"] = nn.Conv2d(1 if i == 1 else WIDTH, WIDTH, 3, padding=1)
        layers[f"relu{i}"] = nn.ReLU()
        layers[f"batch_normalization_{i}"] = nn.BatchNorm2d(WIDTH, eps=EPS, momentum=0.01)
        layers[f"pool{i}"] = nn.MaxPool2d(size, stride)
    layers["flatten"] = nn.Flatten()
    layers["dense"] = nn.Linear(2 * WIDTH, 50)
    return nn.Sequential(layers)


def _arrays(name: str) -> dict[str, NDArray[Any]]:
    with TemporaryDirectory() as folder:
        for end in (".index", ".data-00000-of-00001", ".meta"):
            data = member("musicnn", "0.1.0", f"musicnn/{name}/{end}")
            (Path(folder) / f"{name}{end}").write_bytes(data)
        layers = read_foreign(Path(folder) / f"{name}.index").layers
    return {f"{each.name}/{role}": array for each in layers for role, array in each.arrays.items()}


def _state(arrays: dict[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
    state = {}
    for i in range(6):
        norm = "batch_normalization" + (f"_{i}" if i else "")
        state[f"{norm}.weight"] = arrays[f"{norm}/gamma"]
        state[f"{norm}.bias"] = arrays[f"{norm}/beta"]
        state[f"{norm}.running_mean"] = arrays[f"{norm}/moving_mean"]
        state[f"{norm}.running_var"] = arrays[f"{norm}/moving_variance"]
    for i in range(1, 6):
        state[f"{i}CNN.weight"] = arrays[f"{i}CNN/kernel"].transpose(3, 2, 0, 1)
        state[f"{i}CNN.bias"] = arrays[f"{i}CNN/bias"]
    # TensorFlow flattens (time, 1, channel), torch (channel, time, 1).
    kernel = arrays["dense/kernel"].reshape(2, WIDTH, 50).transpose(2, 1, 0)
    state["dense.weight"] = kernel.reshape(50, 2 * WIDTH)
    state["dense.bias"] = arrays["dense/bias"]
    return {key: torch.tensor(np.ascontiguousarray(value)) for key, value in state.items()}
