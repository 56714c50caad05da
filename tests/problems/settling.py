"""Running statistics as some rounds of training passes leave them, the weights untouched."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

__all__ = ["settled"]


def settled(net: nn.Module, data: Iterable[Tensor], rounds: int) -> nn.Module:
    """The network itself, after so many training passes over the batches."""
    held = list(data)
    with torch.no_grad():
        for _ in range(rounds):
            for batch in held:
                net(batch)
    return net
