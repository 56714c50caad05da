"""What the command line is told to load: `lent.py:noisy` and the like."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def noisy() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))


def clean() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3))


def normless() -> nn.Module:
    return nn.Linear(6, 3)


def batches() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(64, 6, generator=generator) for _ in range(4)]
