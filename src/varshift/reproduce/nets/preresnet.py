"""The pre-activation ResNet of bottleneck blocks. [he2016identity]"""

from __future__ import annotations

from torch import Tensor, nn

from varshift.reproduce.nets.placing import Placing

__all__ = ["PreResNet"]

EXPANSION = 4


class Bottleneck(nn.Module):
    """norm, ReLU, 1×1; norm, ReLU, 3×3; (a), norm, ReLU, (b), 1×1; and the sum."""

    def __init__(self, wide: int, inner: int, stride: int, placing: Placing) -> None:
        super().__init__()
        out = EXPANSION * inner
        self.norm1 = nn.BatchNorm2d(wide)
        self.conv1 = nn.Conv2d(wide, inner, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, bias=False)
        self.before_norm = placing.at("a")
        self.norm3 = nn.BatchNorm2d(inner)
        self.before_conv = placing.at("b")
        self.conv3 = nn.Conv2d(inner, out, 1, bias=False)
        same = wide == out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(wide, out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, wide, H, W) → (N, 4 · inner, H / stride, W / stride)."""
        y = self.conv1(self.norm1(x).relu())
        y = self.conv2(self.norm2(y).relu())
        y = self.norm3(self.before_norm(y)).relu()
        out: Tensor = self.shortcut(x) + self.conv3(self.before_conv(y))
        return out


class PreResNet(nn.Module):
    """Three stages of `blocks` bottlenecks, 9·blocks + 1 norms.

    The paper's PreResNet-110 is `PreResNet(3, 10, blocks=18, width=16)`: its 54 blocks have three
    convolutions each, so that it is really 164 layers deep.
    """

    def __init__(
        self, channels: int, classes: int, *, blocks: int, width: int, placing: Placing
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        wide, made = width, []
        for stage in range(3):
            inner = width << stage
            for index in range(blocks):
                made.append(Bottleneck(wide, inner, 2 if stage and not index else 1, placing))
                wide = EXPANSION * inner
        self.blocks = nn.Sequential(*made)
        self.norm = nn.BatchNorm2d(wide)
        self.before_head = placing.at("last")
        self.head = nn.Linear(wide, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores, (N, classes)."""
        x = self.norm(self.blocks(self.stem(x))).relu()
        scores: Tensor = self.head(self.before_head(x.mean((2, 3))))
        return scores
