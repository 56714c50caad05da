"""The wide ResNet. [zagoruyko2016wide]"""

from __future__ import annotations

from torch import Tensor, nn

from varshift.reproduce.nets.placing import Placing

__all__ = ["WideResNet"]

STEM = 16


class Basic(nn.Module):
    """norm, ReLU, 3×3; (a), norm, ReLU, (b), 3×3; and the sum."""

    def __init__(self, wide: int, out: int, stride: int, placing: Placing) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(wide)
        self.conv1 = nn.Conv2d(wide, out, 3, stride, padding=1, bias=False)
        self.before_norm = placing.at("a")
        self.norm2 = nn.BatchNorm2d(out)
        self.before_conv = placing.at("b")
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        same = wide == out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(wide, out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, wide, H, W) → (N, out, H / stride, W / stride)."""
        ready = self.norm1(x).relu()
        y = self.norm2(self.before_norm(self.conv1(ready))).relu()
        skipped = x if isinstance(self.shortcut, nn.Identity) else self.shortcut(ready)
        out: Tensor = skipped + self.conv2(self.before_conv(y))
        return out


class WideResNet(nn.Module):
    """Three stages of `blocks` basic blocks, the first 16 · `width` wide; 6·blocks + 1 norms.

    The paper's WRN-28-10 is `WideResNet(3, 10, blocks=4, width=10)`.
    """

    def __init__(
        self, channels: int, classes: int, *, blocks: int, width: int, placing: Placing
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, STEM, 3, padding=1, bias=False)
        wide, made = STEM, []
        for stage in range(3):
            out = STEM * width << stage
            for index in range(blocks):
                made.append(Basic(wide, out, 2 if stage and not index else 1, placing))
                wide = out
        self.blocks = nn.Sequential(*made)
        self.norm = nn.BatchNorm2d(wide)
        self.before_head = placing.at("last")
        self.head = nn.Linear(wide, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores, (N, classes)."""
        x = self.norm(self.blocks(self.stem(x))).relu()
        scores: Tensor = self.head(self.before_head(x.mean((2, 3))))
        return scores
