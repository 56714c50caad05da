"""Small networks with named modules and no dropout: noise is put on inputs of modules by hooks.

So the network that is read has none in its code, and where it stood is known by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

Widths = tuple[int, ...]


@dataclass(frozen=True)
class Noise:
    """Mean-one dropout on the input of one module."""

    drop_p: float
    channel: bool = False  # Dropout2d

    def __call__(self, x: Tensor) -> Tensor:
        """As `F.dropout` in training."""
        return F.dropout2d(x, self.drop_p) if self.channel else F.dropout(x, self.drop_p)


def put_in(net: nn.Module, noises: Mapping[str, Noise]) -> list[RemovableHandle]:
    """Noise on the inputs of these modules, until the handles are removed."""

    def hook(noise: Noise) -> Callable[[nn.Module, tuple[Tensor, ...]], Tensor]:
        return lambda module, inputs: noise(inputs[0])

    return [
        net.get_submodule(place).register_forward_pre_hook(hook(noise))
        for place, noise in noises.items()
    ]


def conv(widths: Widths, side: int) -> nn.Module:
    """Blocks of conv → norm → ReLU, two of them with a stride; pooled; linear head."""
    parts: dict[str, nn.Module] = {}
    for i, (before, width) in enumerate(_pairs(widths), 1):
        stride = 2 if i in (_first_stride(side), len(widths)) else 1
        parts[f"conv{i}"] = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        parts |= {f"norm{i}": nn.BatchNorm2d(width), f"relu{i}": nn.ReLU()}
    return _headed(parts, widths[-1])


def tutorial(widths: Widths, side: int) -> nn.Module:
    """Blocks of conv → ReLU → norm: where dropout follows the ReLU it stands before the norm."""
    parts: dict[str, nn.Module] = {}
    for i, (before, width) in enumerate(_pairs(widths), 1):
        stride = 2 if i in (_first_stride(side), len(widths)) else 1
        parts[f"conv{i}"] = nn.Conv2d(before, width, 3, stride, 1)
        parts |= {f"relu{i}": nn.ReLU(), f"norm{i}": nn.BatchNorm2d(width)}
    return _headed(parts, widths[-1])


def keras(widths: Widths, side: int) -> nn.Module:
    """Blocks of conv → ReLU → norm → max-pool; the next block's dropout follows the pool."""
    parts: dict[str, nn.Module] = {}
    for i, (before, width) in enumerate(_pairs(widths), 1):
        parts |= {f"conv{i}": nn.Conv2d(before, width, 3, padding=1), f"relu{i}": nn.ReLU()}
        parts |= {f"norm{i}": nn.BatchNorm2d(width), f"pool{i}": nn.MaxPool2d(2)}
    return _headed(parts, widths[-1])


def pool(widths: Widths, side: int) -> nn.Module:
    """Blocks of conv → max-pool → norm → ReLU."""
    parts: dict[str, nn.Module] = {}
    for i, (before, width) in enumerate(_pairs(widths), 1):
        parts[f"conv{i}"] = nn.Conv2d(before, width, 3, padding=1, bias=False)
        parts[f"pool{i}"] = nn.MaxPool2d(2) if i < 3 else nn.MaxPool2d(3, 1, 1)
        parts |= {f"norm{i}": nn.BatchNorm2d(width), f"relu{i}": nn.ReLU()}
    return _headed(parts, widths[-1])


def linear(widths: Widths, side: int) -> nn.Module:
    """Linear → norm → ReLU."""
    parts: dict[str, nn.Module] = {"flatten": nn.Flatten()}
    for i, (before, width) in enumerate(_pairs(widths, side * side), 1):
        parts[f"linear{i}"] = nn.Linear(before, width)
        parts |= {f"norm{i}": nn.BatchNorm1d(width), f"relu{i}": nn.ReLU()}
    return _named(parts | {"head": nn.Linear(widths[-1], 10)})


def trunk(widths: Widths, side: int) -> nn.Module:
    """Two convolutions, then a linear layer over all they give: many aligned inputs."""
    first, second, last = widths
    left = (side + 1) // 2
    parts: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(1, first, 3, padding=1, bias=False),
        **{"norm1": nn.BatchNorm2d(first), "relu1": nn.ReLU()},
        "conv2": nn.Conv2d(first, second, 3, 2, 1, bias=False),
        **{"norm2": nn.BatchNorm2d(second), "relu2": nn.ReLU()},
        **{"flatten": nn.Flatten(), "linear": nn.Linear(second * left * left, last)},
        **{"norm3": nn.BatchNorm1d(last), "relu3": nn.ReLU(), "head": nn.Linear(last, 10)},
    }
    return _named(parts)


class Wide(nn.Module):
    """A block of a Wide ResNet: norms and ReLUs stand before the convolutions."""

    def __init__(self, width: int, after: int, stride: int) -> None:
        super().__init__()
        self.norm1, self.relu1 = nn.BatchNorm2d(width), nn.ReLU()
        self.conv1 = nn.Conv2d(width, after, 3, stride, 1, bias=False)
        self.norm2, self.relu2 = nn.BatchNorm2d(after), nn.ReLU()
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        same = width == after and stride == 1
        self.short = nn.Identity() if same else nn.Conv2d(width, after, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) → (N, after, H/stride, W/stride)."""
        inside = self.conv1(self.relu1(self.norm1(x)))
        return self.conv2(self.relu2(self.norm2(inside))) + self.short(x)  # type: ignore[no-any-return]


class Residual(nn.Module):
    """The first kind of residual block: norms behind the convolutions, ReLU behind the sum."""

    def __init__(self, width: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, after, 3, stride, 1, bias=False)
        self.norm1, self.relu1 = nn.BatchNorm2d(after), nn.ReLU()
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm2, self.relu2 = nn.BatchNorm2d(after), nn.ReLU()
        same = width == after and stride == 1
        self.short = nn.Identity() if same else nn.Conv2d(width, after, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) → (N, after, H/stride, W/stride)."""
        inside = self.conv2(self.relu1(self.norm1(self.conv1(x))))
        return self.relu2(self.norm2(inside) + self.short(x))  # type: ignore[no-any-return]


def wide(widths: Widths, side: int) -> nn.Module:
    """Two blocks of a Wide ResNet, then the last norm."""
    stem, width = widths
    parts: dict[str, nn.Module] = {
        "stem": nn.Conv2d(1, stem, 3, 1 if side < 10 else 2, 1, bias=False),
        **{"block1": Wide(stem, stem, 1), "block2": Wide(stem, width, 2)},
        **{"norm": nn.BatchNorm2d(width), "relu": nn.ReLU()},
    }
    return _headed(parts, width)


def residual(widths: Widths, side: int) -> nn.Module:
    """A stem with its norm, then two blocks with norms behind their convolutions."""
    stem, width = widths
    parts: dict[str, nn.Module] = {
        "conv0": nn.Conv2d(1, stem, 3, 1 if side < 10 else 2, 1, bias=False),
        **{"norm0": nn.BatchNorm2d(stem), "relu0": nn.ReLU()},
        **{"block1": Residual(stem, stem, 1), "block2": Residual(stem, width, 2)},
    }
    return _headed(parts, width)


ARCHITECTURES: Mapping[str, Callable[[Widths, int], nn.Module]] = {
    **{"conv": conv, "tutorial": tutorial, "keras": keras, "pool": pool},
    **{"linear": linear, "trunk": trunk, "wide": wide, "residual": residual},
}

# The norms that noise on a convolution's input meets without another norm on the way. In a chain
# that is the next norm; a sum carries it on beside the block that follows.
MEETS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "wide": {"block1.conv2": ("block2.norm1", "norm"), "block2.conv2": ("norm",)},
    "residual": {"block1.conv2": ("block1.norm2",), "block2.conv2": ("block2.norm2",)},
}


def met_by(net: nn.Module, architecture: str, place: str) -> tuple[str, ...]:
    """The norms that meet noise at this place first, the nearest one first; none for the head."""
    if architecture in MEETS:
        return MEETS[architecture].get(place, ())
    names = [name for name, _ in net.named_children()]
    after = names[names.index(place) :]
    return tuple(name for name in after if name.startswith("norm"))[:1]


def norms_of(net: nn.Module) -> dict[str, nn.BatchNorm2d | nn.BatchNorm1d]:
    """Paths of all norms, in the order of the code."""
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
    return {path: one for path, one in net.named_modules() if isinstance(one, kinds)}


def build(architecture: str, widths: Widths, side: int, momentum: float, seed: int) -> nn.Module:
    """A fresh network, initialised from this seed."""
    torch.manual_seed(seed)
    net = ARCHITECTURES[architecture](widths, side)
    for norm in norms_of(net).values():
        norm.momentum = momentum
    return net.train()


def _pairs(widths: Widths, first: int = 1) -> Iterable[tuple[int, int]]:
    return zip((first, *widths[:-1]), widths, strict=True)


def _first_stride(side: int) -> int:
    """Larger images shrink sooner."""
    return 3 if side < 10 else 2


def _headed(parts: dict[str, nn.Module], width: int) -> nn.Module:
    end = {"mean": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(), "head": nn.Linear(width, 10)}
    return _named(parts | end)


def _named(parts: dict[str, nn.Module]) -> nn.Module:
    net = nn.Sequential()
    for name, part in parts.items():
        net.add_module(name, part)
    return net
