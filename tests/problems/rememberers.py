"""Networks that were trained with dropout in one placement, and what trains them in seconds."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from problems.steady import steady

PLACES = {"a": ["norm1", "norm2", "norm3"], "b": ["conv1", "conv2", "conv3"]}


class Rememberer(nn.Module):
    """Three convolutions with norms; noise, if any, straight before each norm or convolution."""

    def __init__(self, drop_p: float, placement: str, channels: int = 1, width: int = 24) -> None:
        super().__init__()
        self.placement, self.drop = placement, nn.Dropout(drop_p)
        wide = (channels, width, width, 2 * width)
        for number, (into, out) in enumerate(pairwise(wide), 1):
            stride = 2 if number == 3 else 1
            conv = nn.Conv2d(into, out, 3, stride=stride, padding=1, bias=False)
            self.add_module(f"conv{number}", conv)
            self.add_module(f"norm{number}", nn.BatchNorm2d(out))
        self.head = nn.Linear(2 * width, 10)

    def block(self, x: Tensor, conv: nn.Module, norm: nn.Module) -> Tensor:
        x = conv(self.drop(x)) if self.placement == "b" else self.drop(conv(x))
        return norm(x).relu()

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(x, self.conv1, self.norm1)
        x = self.block(x, self.conv2, self.norm2)
        x = self.block(x, self.conv3, self.norm3)
        return self.head(x.mean((2, 3)))


def trained(
    drop_p: float, placement: str, x: Tensor, labels: Tensor, *, epochs: int = 8, seed: int = 0
) -> Rememberer:
    """SGD with momentum, annealed to zero by a cosine; batches of 64. In float32 at the end."""
    with steady(seed):
        net = Rememberer(drop_p, placement)
        _train(net, x.double(), labels, epochs, seed)
    return net.float()


def _train(net: Rememberer, x: Tensor, labels: Tensor, epochs: int, seed: int) -> None:
    steps = epochs * (len(x) // 64)
    step = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(step, steps)
    shuffled = torch.Generator().manual_seed(seed)
    net.train()
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=shuffled)
        for part in order[: len(x) // 64 * 64].split(64):
            step.zero_grad()
            nn.functional.cross_entropy(net(x[part]), labels[part]).backward()
            step.step()
            rate.step()
