"""A small pre-activation ResNet with dropout in every block, in either of the paper's places.

Dropout-(a) stands right before the last norm of a block, Dropout-(b) before its last convolution.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

__all__ = ["PreResNet"]

Place = Literal["a", "b"]


class Block(nn.Module):
    """norm, ReLU, convolution, (a), norm, ReLU, (b), convolution, and the sum. [he2016identity]"""

    def __init__(self, wide: int, out: int, stride: int, drop_p: float, place: Place = "a") -> None:
        super().__init__()
        self.place = place
        self.norm1 = nn.BatchNorm2d(wide)
        self.conv1 = nn.Conv2d(wide, out, 3, stride, padding=1, bias=False)
        self.drop = nn.Dropout(drop_p)
        self.norm2 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        same = wide == out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(wide, out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, wide, H, W) → (N, out, H / stride, W / stride)."""
        ready = self.norm1(x).relu()
        inner = self.conv1(ready)
        inner = self.norm2(self.drop(inner) if self.place == "a" else inner).relu()
        out: Tensor = self.conv2(self.drop(inner) if self.place == "b" else inner)
        skipped: Tensor = x if isinstance(self.shortcut, nn.Identity) else self.shortcut(ready)
        return skipped + out


class PreResNet(nn.Module):
    """Three stages of `blocks` blocks; width doubles and size halves from stage to stage."""

    def __init__(
        self,
        channels: int,
        classes: int = 10,
        *,
        width: int = 16,
        blocks: int = 2,
        drop_p: float,
        place: Place = "a",
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        wide, made = width, []
        for stage in range(3):
            for index in range(blocks):
                step = 2 if stage and index == 0 else 1
                made.append(Block(wide, width << stage, step, drop_p, place))
                wide = width << stage
        self.blocks = nn.Sequential(*made)
        self.norm = nn.BatchNorm2d(wide)
        self.head = nn.Linear(wide, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores, (N, classes)."""
        x = self.norm(self.blocks(self.stem(x))).relu()
        scores: Tensor = self.head(x.mean((2, 3)))
        return scores
