"""The paper's four networks, to scale, and the places where it puts noise into them."""

from varshift.reproduce.nets.densenet import DenseNet
from varshift.reproduce.nets.named import FAMILIES, PAPER, Shape, build
from varshift.reproduce.nets.placing import (
    KINDS,
    NOISES,
    PLACES,
    Kind,
    Place,
    Placing,
    beta_like,
    three_noises,
)
from varshift.reproduce.nets.preresnet import PreResNet
from varshift.reproduce.nets.resnext import ResNeXt
from varshift.reproduce.nets.wide import WideResNet

__all__ = [
    "FAMILIES",
    "KINDS",
    "NOISES",
    "PAPER",
    "PLACES",
    "DenseNet",
    "Kind",
    "Place",
    "Placing",
    "PreResNet",
    "ResNeXt",
    "Shape",
    "WideResNet",
    "beta_like",
    "build",
    "three_noises",
]
