"""How often a network is right: on test images, and on training images with noise on and off."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from varshift._engine.borrow.model import borrowed

__all__ = ["Pair", "score", "train_score"]

Pair = tuple[Tensor, Tensor]


def score(net: nn.Module, batches: Sequence[Pair]) -> dict[str, float]:
    """Error (a share), mean cross entropy and number of images, in evaluation mode."""
    with borrowed(net):
        net.eval()
        return _score(net, batches)


def train_score(net: nn.Module, batches: Sequence[Pair], *, seed: int) -> dict[str, float]:
    """The same as a training pass has it: noise on, norms on the statistics of their batch."""
    with borrowed(net):
        net.train()
        torch.manual_seed(seed)
        return _score(net, batches)


def _score(net: nn.Module, batches: Sequence[Pair]) -> dict[str, float]:
    wrong, loss, seen = 0, 0.0, 0
    with torch.no_grad():
        for images, labels in batches:
            scores = net(images)
            wrong += int((scores.argmax(1) != labels).sum())
            loss += float(functional.cross_entropy(scores, labels, reduction="sum"))
            seen += len(labels)
    return {"error": wrong / seen, "loss": loss / seen, "images": seen}
