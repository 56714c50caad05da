"""A small pre-activation ResNet with Dropout-(a): right before the last norm of every block."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["PreResNet"]


class Block(nn.Module):
    """norm, ReLU, convolution, (dropout,) norm, ReLU, convolution, and the sum. [he2016identity]"""

    def __init__(self, wide: int, out: int, stride: int, drop_p: float) -> None:
        super().__init__()
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
        out: Tensor = self.conv2(self.norm2(self.drop(self.conv1(ready))).relu())
        skipped: Tensor = x if isinstance(self.shortcut, nn.Identity) else self.shortcut(ready)
        return skipped + out


class PreResNet(nn.Module):
    """Three stages of `blocks` blocks; width doubles and size halves from stage to stage."""

    def __init__(
        self, channels: int, classes: int = 10, *, width: int = 16, blocks: int = 2, drop_p: float
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        wide, made = width, []
        for stage in range(3):
            for index in range(blocks):
                stride = 2 if stage and index == 0 else 1
                made.append(Block(wide, width << stage, stride, drop_p))
                wide = width << stage
        self.blocks = nn.Sequential(*made)
        self.norm = nn.BatchNorm2d(wide)
        self.head = nn.Linear(wide, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores, (N, classes)."""
        x = self.norm(self.blocks(self.stem(x))).relu()
        scores: Tensor = self.head(x.mean((2, 3)))
        return scores
