"""Networks trained for seconds on half of the digits, with dropout in every block or without."""

from __future__ import annotations

import copy
from functools import cache

from torch import Tensor, nn

from problems.steady import steady
from varshift._cli.demo.net import PreResNet
from varshift._cli.demo.train import train
from varshift._loading import load_images

__all__ = ["pairs", "shifted"]


def shifted(place: str = "a", drop_p: float = 0.5, *, seed: int = 0) -> nn.Module:
    """A fresh copy of the trained network, in train mode: six blocks, thirteen norms."""
    return copy.deepcopy(_trained(place, drop_p, seed))


def pairs(part: str, size: int = 64) -> list[tuple[Tensor, Tensor]]:
    """Batches with labels: "train" is what the networks were trained on, "test" the other half."""
    digits = load_images("digits")
    images, labels = (
        (digits.train, digits.train_labels)
        if part == "train"
        else (digits.test, digits.test_labels)
    )
    return list(zip(images.split(size), labels.split(size), strict=True))


@cache
def _trained(place: str, drop_p: float, seed: int) -> nn.Module:
    digits = load_images("digits")
    with steady(seed):
        net = PreResNet(1, width=8, blocks=2, drop_p=drop_p, place=place)
        train(
            *(net, digits.train.double(), digits.train_labels),
            **{"epochs": 8, "batch_size": 32, "rate": 0.1, "seed": seed},
            step_done=lambda: None,
        )
    return net.float()
