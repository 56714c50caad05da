"""Small networks with noise before their norms, as plain modules."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Mlp(nn.Module):
    """Three norms, each behind dropout and weights."""

    def __init__(self, width: int = 24, drop_p: float = 0.5) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for wide in (8, width, width):
            layers += [nn.Linear(wide, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(drop_p)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


class Conv(nn.Module):
    """Four norms on the way down, with a residual sum and dropout in both placements."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.first = nn.BatchNorm2d(width)
        self.drop = nn.Dropout(0.5)
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second = nn.BatchNorm2d(width)
        self.direct = nn.Dropout2d(0.5)
        self.third = nn.BatchNorm2d(width)
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2)
        self.fourth = nn.BatchNorm2d(2 * width)
        self.head = nn.Linear(2 * width, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.stem(x)).relu()
        x = x + self.second(self.conv(self.drop(x))).relu()
        x = self.third(self.direct(x))
        x = self.fourth(self.down(x)).relu()
        return self.head(x.mean((2, 3)))


class ByHand(nn.Module):
    """`F.batch_norm` on buffers of other names, and a subclass that transposes first."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("m", torch.zeros(6))
        self.register_buffer("v", torch.ones(6))
        self.linear = nn.Linear(6, 6)
        self.last = LastDim(6)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.dropout(x, 0.4, self.training)
        x = functional.batch_norm(self.linear(x), self.m, self.v, training=self.training)
        return self.last(x[:, None].expand(-1, 5, -1) + torch.arange(5.0)[:, None])


class LastDim(nn.BatchNorm1d):
    """(N, T, C): transposed before it is normalised, as time-series models do."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class Remembers(nn.Module):
    """Keeps an activation of one module for another, past a norm."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.one, self.two = nn.Linear(8, 8), nn.Linear(8, 8)
        self.a, self.b = nn.BatchNorm1d(8), nn.BatchNorm1d(8)
        self.kept: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        if self.how == "attribute":
            self.skip = x
        else:
            self.kept[:] = [x]
        x = self.a(x).relu()
        skip = self.skip if self.how == "attribute" else self.kept[0]
        return self.b(self.two(x) + skip)


class Branches(nn.Module):
    """Micro-batches take different ways to the last norm."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.last = (nn.BatchNorm1d(4) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.left(x) if x[0, 0] > 0 else 2 * self.right(x))


class Twice(nn.Module):
    """One norm, run twice a pass."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.linear(self.norm(x)))
