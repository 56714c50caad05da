"""The exact average prediction over all masks of a small network with one dropout layer."""

from __future__ import annotations

import copy
import itertools

import torch
from torch import Tensor, nn


def average_over_masks(model: nn.Module, drop: str, x: Tensor, width: int, keep_p: float) -> Tensor:
    """Mean of softmax over all 2^width masks of the layer `drop`, norms at stored statistics."""
    net = copy.deepcopy(model).eval().double()
    total = torch.zeros(0)
    for kept in itertools.product((0.0, 1.0), repeat=width):
        mask = torch.tensor(kept, dtype=torch.float64)
        chance = keep_p ** float(mask.sum()) * (1 - keep_p) ** float(width - mask.sum())
        hook = net.get_submodule(drop).register_forward_hook(
            lambda _, inputs, out, mask=mask: inputs[0] * mask / keep_p
        )
        with torch.no_grad():
            part = chance * net(x.double()).softmax(1)
        hook.remove()
        total = part if not total.numel() else total + part
    return total
