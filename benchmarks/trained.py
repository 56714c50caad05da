"""Networks with noise before their norms, trained for a minute on scikit-learn's digits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import varshift as vs
from varshift._cli.demo.net import PreResNet
from varshift._cli.demo.train import train

__all__ = ["TRAINED", "digits", "trained"]


class Block(nn.Module):
    """Pre-activation block with noise before its last convolution: placement (b)."""

    def __init__(self, wide: int, out: int, stride: int, noise: nn.Module) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(wide), nn.BatchNorm2d(out)
        self.conv1 = nn.Conv2d(wide, out, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.drop = noise
        same = wide == out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(wide, out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        ready = self.norm1(x).relu()
        skipped = x if isinstance(self.shortcut, nn.Identity) else self.shortcut(ready)
        return self.conv2(self.drop(self.norm2(self.conv1(ready)).relu())) + skipped


class Wide(nn.Module):
    """Four such blocks."""

    def __init__(self, noise: Callable[[], nn.Module], width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1, bias=False)
        shapes = ((1, 1, 1), (1, 1, 1), (1, 2, 2), (2, 2, 1))
        self.blocks = nn.Sequential(
            *(Block(a * width, b * width, stride, noise()) for a, b, stride in shapes)
        )
        self.norm, self.head = nn.BatchNorm2d(2 * width), nn.Linear(2 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.stem(x))).relu().mean((2, 3)))


def plain(noise: Callable[[], nn.Module]) -> nn.Module:
    """Convolution, norm, ReLU, noise, four times over."""
    layers: list[nn.Module] = []
    wide = 1
    for out, stride in ((16, 1), (16, 1), (32, 2), (32, 1)):
        layers += [nn.Conv2d(wide, out, 3, stride, 1), nn.BatchNorm2d(out), nn.ReLU(), noise()]
        wide = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


def perceptron(noise: Callable[[], nn.Module], function: Callable[[], nn.Module]) -> nn.Module:
    """Three hidden layers of 128."""
    layers: list[nn.Module] = [nn.Flatten()]
    wide = 64
    for _ in range(3):
        layers += [nn.Linear(wide, 128), nn.BatchNorm1d(128), function(), noise()]
        wide = 128
    return nn.Sequential(*layers, nn.Linear(wide, 10))


TRAINED: dict[str, Callable[[], nn.Module]] = {
    "PreResNet (a), drop 0.5": lambda: PreResNet(1, drop_p=0.5),
    "PreResNet (a), drop 0.1": lambda: PreResNet(1, drop_p=0.1),
    "wide ResNet (b), drop 0.3": lambda: Wide(lambda: nn.Dropout(0.3)),
    "wide ResNet (b), drop 0.5": lambda: Wide(lambda: nn.Dropout(0.5)),
    "wide ResNet (b), channels 0.3": lambda: Wide(lambda: nn.Dropout2d(0.3)),
    "wide ResNet (b), Uout 0.8": lambda: Wide(lambda: vs.nn.Uout(0.8)),
    "plain conv (b), drop 0.3": lambda: plain(lambda: nn.Dropout(0.3)),
    "MLP (b), ReLU, drop 0.5": lambda: perceptron(lambda: nn.Dropout(0.5), nn.ReLU),
    "MLP (b), GELU, drop 0.5": lambda: perceptron(lambda: nn.Dropout(0.5), nn.GELU),
    "MLP (b), SiLU, Gauss 0.7": lambda: perceptron(lambda: vs.nn.GaussianDropout(0.7), nn.SiLU),
}


def digits() -> tuple[Tensor, Tensor]:
    """All 1797 images (N, 1, 8, 8), normalised, and their labels."""
    held = load_digits()
    images = torch.tensor(held.images, dtype=torch.float32)[:, None]
    return (images - images.mean()) / images.std(), torch.tensor(held.target)


def trained(make: Callable[[], nn.Module], *, epochs: int = 10, seed: int = 0) -> nn.Module:
    """The network after training on the first 1200 images."""
    torch.manual_seed(seed)
    images, labels = digits()
    net = make()
    train(
        net,
        images[:1200],
        labels[:1200],
        epochs=epochs,
        batch_size=64,
        rate=0.1,
        seed=seed,
        step_done=lambda: None,
    )
    return net
