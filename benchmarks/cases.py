"""What `python -m benchmarks ratios` times: each verb over the plain forwards that it needs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torchvision
from torch import Tensor, nn

import varshift as vs
from benchmarks.cost import Work
from benchmarks.nets import chain, mlp, resnet18_cifar, resnet50, small_cnn, trained_a_little


@dataclass(frozen=True)
class Case:
    """One verb on one network: `make` gives the plain forwards and the verb's call."""

    name: str
    aim: float | None  # largest ratio wanted
    make: Callable[[], tuple[Work, Work]]
    rounds: int = 5


def verbs() -> Iterator[Case]:
    """Every verb over the forwards it needs, per batch."""
    nets = {"ResNet-18": _resnet18, "ResNet-50": _resnet50, "MLP": _mlp}
    for name, aim in (("ResNet-18", 1.15), ("ResNet-50", 1.25), ("MLP", 1.8)):
        yield Case(f"recalibrate {name}", aim, _over(nets[name], vs.recalibrate, "e"), 3)
    for name, aim in (("ResNet-18", 1.1), ("ResNet-50", 1.1), ("MLP", 1.6)):
        yield Case(f"measure {name}", aim, _over(nets[name], vs.measure, "te"), 3)
    for name in ("ResNet-18", "MLP"):
        yield Case(f"check(data) {name}", None, _over(nets[name], vs.check, "tee"), 3)
        yield Case(f"explain {name}", None, _over(nets[name], vs.explain, "ttee"), 3)
        yield Case(f"predict(data) {name}", None, _over(nets[name], vs.predict, "te"), 3)
    for name, example in _EXAMPLES.items():
        yield Case(f"inspect {name}", 1.5, _inspect(example))


def _over(
    make: Callable[[], tuple[nn.Module, list[Tensor]]],
    verb: Callable[[nn.Module, list[Tensor]], object],
    passes: str,
) -> Callable[[], tuple[Work, Work]]:
    """The verb over `passes`: t is a pass in training mode, e one in evaluation mode."""

    def made() -> tuple[Work, Work]:
        net, data = make()
        trained_a_little(net, data[:2])
        plain = copy.deepcopy(net)
        return lambda: _run(plain, data, passes), lambda: verb(net, data)

    return made


def _inspect(
    make: Callable[[], tuple[nn.Module, Tensor]],
) -> Callable[[], tuple[Work, Work]]:
    def made() -> tuple[Work, Work]:
        net, example = make()
        plain = copy.deepcopy(net)
        return lambda: _run(plain, [example], "t"), lambda: vs.inspect(net, example)

    return made


def _run(net: nn.Module, data: list[Tensor], passes: str) -> None:
    with torch.no_grad():
        for mode in passes:
            net.train(mode == "t")
            for batch in data:
                net(batch)


def _resnet18() -> tuple[nn.Module, list[Tensor]]:
    return resnet18_cifar(), list(torch.randn(96, 3, 32, 32).split(32))


def _resnet50() -> tuple[nn.Module, list[Tensor]]:
    return resnet50(), list(torch.randn(16, 3, 224, 224).split(8))


def _mlp() -> tuple[nn.Module, list[Tensor]]:
    return mlp(), list(torch.randn(4096, 64).split(256))


_EXAMPLES: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "EfficientNet-B0": lambda: (
        torchvision.models.efficientnet_b0(),
        torch.randn(2, 3, 224, 224),
    ),
    "ResNet-18": lambda: (resnet18_cifar(), torch.randn(8, 3, 32, 32)),
    "DenseNet-201": lambda: (
        torchvision.models.densenet201(drop_rate=0.1),
        torch.randn(2, 3, 64, 64),
    ),
    "small convolutions": lambda: (small_cnn(), torch.randn(8, 3, 16, 16)),
    "MLP": lambda: (mlp(), torch.randn(256, 64)),
}

NORMS = (20, 75, 300)
BATCHES = (100, 1_000, 10_000)


def of_norms(count: int) -> Work:
    """Measure of a chain with so many norms."""
    net, data = chain(count), list(torch.randn(256, 32).split(64))
    trained_a_little(net, data)
    return lambda: vs.measure(net, data)


def of_batches(count: int) -> Work:
    """Recalibrate over so many batches of 16 samples."""
    net, data = chain(3), list(torch.randn(16 * count, 32).split(16))
    trained_a_little(net, data[:4])
    return lambda: vs.recalibrate(net, data)
