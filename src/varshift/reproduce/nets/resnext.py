"""ResNeXt for small images: bottlenecks with grouped convolutions. [xie2017aggregated]"""

from __future__ import annotations

from torch import Tensor, nn

from varshift.reproduce.nets.placing import Placing

__all__ = ["ResNeXt"]


class Aggregated(nn.Module):
    """1×1, norm, ReLU; grouped 3×3, norm, ReLU; (b), 1×1, (a), norm; the sum and its ReLU."""

    def __init__(
        self, wide: int, inner: int, out: int, groups: int, stride: int, placing: Placing
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(wide, inner, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, groups=groups, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.before_conv = placing.at("b")
        self.conv3 = nn.Conv2d(inner, out, 1, bias=False)
        self.before_norm = placing.at("a")
        self.norm3 = nn.BatchNorm2d(out)
        self.shortcut: nn.Module = nn.Identity()
        if wide != out or stride != 1:
            projection = nn.Conv2d(wide, out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """(N, wide, H, W) → (N, out, H / stride, W / stride)."""
        y = self.norm1(self.conv1(x)).relu()
        y = self.norm2(self.conv2(y)).relu()
        y = self.norm3(self.before_norm(self.conv3(self.before_conv(y))))
        out: Tensor = (self.shortcut(x) + y).relu()
        return out


class ResNeXt(nn.Module):
    """Three stages of `blocks` aggregated bottlenecks, 9·blocks + 4 norms.

    `width` is the width of each of the `groups` in the first stage, whose blocks end 4 · width
    wide. The paper's ResNeXt-29, 8×64 is `ResNeXt(3, 10, blocks=3, width=64, groups=8)`.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        blocks: int,
        width: int,
        placing: Placing,
        groups: int = 8,
    ) -> None:
        super().__init__()
        wide = width
        self.stem = nn.Conv2d(channels, wide, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(wide)
        made = []
        for stage in range(3):
            inner, out = groups * width << stage, 4 * width << stage
            for index in range(blocks):
                stride = 2 if stage and not index else 1
                made.append(Aggregated(wide, inner, out, groups, stride, placing))
                wide = out
        self.blocks = nn.Sequential(*made)
        self.before_head = placing.at("last")
        self.head = nn.Linear(wide, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores, (N, classes)."""
        x = self.blocks(self.stem_norm(self.stem(x)).relu())
        scores: Tensor = self.head(self.before_head(x.mean((2, 3))))
        return scores
