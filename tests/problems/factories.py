"""Targets for the command line."""

from __future__ import annotations

import torch
from torch import nn

from varshift._cli.demo.net import PreResNet


def noisy():
    torch.manual_seed(0)
    return nn.Sequential(nn.Dropout(0.5), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def clean():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))


def settled():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=None), nn.Dropout(0.5))
    with torch.no_grad():
        for batch in batches():
            net(batch)
    return net


def preresnet():
    """Untrained; tests/problems/shifted.py has weights for it."""
    return PreResNet(1, width=8, blocks=2, drop_p=0.7)


def batches():
    torch.manual_seed(1)
    return [torch.randn(16, 3, 8, 8) for _ in range(4)]


def breaks():
    raise RuntimeError("no such weights")


def raising_loader():
    yield torch.randn(16, 3, 8, 8)
    raise OSError("disk gone")


number = 3
