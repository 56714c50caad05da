"""The networks of the benchmarks, all with active noise."""

from __future__ import annotations

import torch
import torchvision
from torch import Tensor, nn


def mlp() -> nn.Module:
    """Three hidden layers of 256 with dropout 0.5 before each linear but the first."""
    layers: list[nn.Module] = [nn.Linear(64, 256), nn.BatchNorm1d(256), nn.ReLU()]
    for _ in range(3):
        layers += [nn.Dropout(0.5), nn.Linear(256, 256), nn.BatchNorm1d(256), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(256, 10))


def resnet18_cifar() -> nn.Module:
    """ResNet-18 with the CIFAR stem, dropout 0.5 after the first normalisation of each block."""
    net = torchvision.models.resnet18(num_classes=10)
    net.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    net.maxpool = nn.Identity()
    return _with_dropout(net)


def resnet18() -> nn.Module:
    """Torchvision's ResNet-18, dropout 0.5 after the first normalisation of each block."""
    return _with_dropout(torchvision.models.resnet18(num_classes=10))


def resnet50() -> nn.Module:
    """Torchvision's ResNet-50, dropout 0.5 after the first normalisation of each block."""
    return _with_dropout(torchvision.models.resnet50())


def _with_dropout(net: nn.Module) -> nn.Module:
    for module in list(net.modules()):
        if hasattr(module, "bn1") and hasattr(module, "downsample"):
            module.bn1 = nn.Sequential(module.bn1, nn.Dropout(0.5))
    return net


def trained_a_little(net: nn.Module, batches: list[Tensor]) -> nn.Module:
    """Running statistics as a few training steps leave them."""
    net.train()
    with torch.no_grad():
        for batch in batches:
            net(batch)
    return net


def small_cnn() -> nn.Module:
    """Three convolutions of 16 channels with dropout between."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()]
    for _ in range(2):
        layers += [nn.Dropout(0.2), nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


def chain(norms: int) -> nn.Module:
    """Linear layers of 32 with a norm each, and one dropout in front."""
    layers: list[nn.Module] = [nn.Dropout(0.1)]
    for _ in range(norms):
        layers += [nn.Linear(32, 32), nn.BatchNorm1d(32), nn.ReLU()]
    return nn.Sequential(*layers)
