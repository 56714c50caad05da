"""DenseNet-BC: bottlenecks whose outputs are all kept, halved between stages. [huang2017densely]"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from varshift.reproduce.nets.placing import Placing

__all__ = ["DenseNet"]

BOTTLENECK = 4


class Dense(nn.Module):
    """norm, ReLU, 1×1; (a), norm, ReLU, (b), 3×3; put beside the input."""

    def __init__(self, wide: int, growth: int, placing: Placing) -> None:
        super().__init__()
        inner = BOTTLENECK * growth
        self.norm1 = nn.BatchNorm2d(wide)
        self.conv1 = nn.Conv2d(wide, inner, 1, bias=False)
        self.before_norm = placing.at("a")
        self.norm2 = nn.BatchNorm2d(inner)
        self.before_conv = placing.at("b")
        self.conv2 = nn.Conv2d(inner, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, wide, H, W) → (N, wide + growth, H, W)."""
        y = self.norm2(self.before_norm(self.conv1(self.norm1(x).relu()))).relu()
        return torch.cat([x, self.conv2(self.before_conv(y))], 1)


class Transition(nn.Module):
    """norm, ReLU, 1×1 to half the width, 2×2 average pooling."""

    def __init__(self, wide: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(wide)
        self.conv = nn.Conv2d(wide, wide // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, wide, H, W) → (N, wide // 2, H // 2, W // 2)."""
        return nn.functional.avg_pool2d(self.conv(self.norm(x).relu()), 2)


class DenseNet(nn.Module):
    """Three stages of `blocks` dense layers that grow by `width` channels; 6·blocks + 3 norms.

    The paper's DenseNet-BC, L = 100, k = 12 is `DenseNet(3, 10, blocks=16, width=12)`.
    """

    def __init__(
        self, channels: int, classes: int, *, blocks: int, width: int, placing: Placing
    ) -> None:
        super().__init__()
        wide = 2 * width
        self.stem = nn.Conv2d(channels, wide, 3, padding=1, bias=False)
        made: list[nn.Module] = []
        for stage in range(3):
            for _ in range(blocks):
                made.append(Dense(wide, width, placing))
                wide += width
            if stage < 2:
                made.append(Transition(wide))
                wide //= 2
        self.blocks = nn.Sequential(*made)
        self.norm = nn.BatchNorm2d(wide)
        self.before_head = placing.at("last")
        self.head = nn.Linear(wide, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores, (N, classes)."""
        x = self.norm(self.blocks(self.stem(x))).relu()
        scores: Tensor = self.head(self.before_head(x.mean((2, 3))))
        return scores
