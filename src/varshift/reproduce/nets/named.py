"""The networks by name and size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from varshift.errors import UsageError
from varshift.reproduce.nets.densenet import DenseNet
from varshift.reproduce.nets.placing import Placing
from varshift.reproduce.nets.preresnet import PreResNet
from varshift.reproduce.nets.resnext import ResNeXt
from varshift.reproduce.nets.wide import WideResNet

__all__ = ["FAMILIES", "PAPER", "Shape", "build"]

# The paper's order, in its tables and here.
FAMILIES: dict[str, Any] = {
    "PreResNet": PreResNet,
    "ResNeXt": ResNeXt,
    "WRN": WideResNet,
    "DenseNet": DenseNet,
}


@dataclass(frozen=True)
class Shape:
    """A family with its depth (blocks per stage), its width, and groups where it has them."""

    family: str
    blocks: int
    width: int
    groups: int = 1

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise UsageError(f"no network {self.family!r}; there are {', '.join(FAMILIES)}")
        if min(self.blocks, self.width, self.groups) < 1:
            raise UsageError(
                f"{self.family} of {self.blocks} blocks per stage, width {self.width} and "
                f"{self.groups} groups: each must be at least 1"
            )


PAPER = {
    shape.family: shape
    for shape in (
        Shape("PreResNet", 18, 16),
        Shape("ResNeXt", 3, 64, 8),
        Shape("WRN", 4, 10),
        Shape("DenseNet", 16, 12),
    )
}


def build(shape: Shape, placing: Placing, *, channels: int, classes: int, seed: int) -> nn.Module:
    """A fresh network; its weights follow from `seed` alone, whatever noise it carries.

    Convolutions start as normal with deviation √(2 / fan-out), norms as one and zero, as in the
    implementations the paper built on. [he2015delving]
    """
    size: dict[str, Any] = {"blocks": shape.blocks, "width": shape.width}
    if shape.family == "ResNeXt":
        size["groups"] = shape.groups
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net: nn.Module = FAMILIES[shape.family](channels, classes, placing=placing, **size)
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net
