"""A network that keeps something on itself from one norm to the next."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Parks"]


class Parks(nn.Module):
    """Keeps a feature on itself between norms, as hooks of feature extractors do."""

    def __init__(self, features: int = 8, width: int = 16) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.n = nn.Linear(features, width), nn.BatchNorm1d(width)
        self.b, self.m = nn.Linear(width, width), nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        self.parked = self.a(x)
        return self.m(self.b(self.n(self.parked)) + self.parked)
