"""Verbs and the plain passes that each of them needs, made ready to be timed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import varshift as vs
from benchmarks.nets import chain, mlp, resnet18_cifar, resnet50, trained_a_little
from benchmarks.timing import Work


@dataclass(frozen=True)
class Case:
    """One verb on one network: `make` gives the plain forwards and the verb's call."""

    name: str
    aim: float | None  # largest ratio wanted
    make: Callable[[], tuple[Work, Work]]
    rounds: int = 3


def verbs() -> Iterator[Case]:
    """What takes data, over the passes it needs."""
    nets = {"ResNet-18": _resnet18, "ResNet-50": _resnet50, "MLP": _mlp}
    for name, aim in (("ResNet-18", 1.1), ("ResNet-50", 1.1), ("MLP", 1.6)):
        yield Case(f"measure, {name}", aim, _over(nets[name], vs.measure, "te"))
    for name in ("ResNet-18", "MLP"):
        yield Case(f"check(data), {name}", None, _over(nets[name], vs.check, "tee"))
        yield Case(f"explain, {name}", None, _over(nets[name], vs.explain, "ttee"))
        yield Case(f"predict(data), {name}", None, _over(nets[name], vs.predict, "te"))


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
        return lambda: passes_of(plain, data, passes), lambda: verb(net, data)

    return made


def passes_of(net: nn.Module, data: list[Tensor], passes: str) -> None:
    """Plain passes: t in training mode, e in evaluation mode."""
    with torch.no_grad():
        for mode in passes:
            net.train(mode == "t")
            for batch in data:
                net(batch)


def _resnet18() -> tuple[nn.Module, list[Tensor]]:
    return resnet18_cifar(), list(torch.randn(48, 3, 32, 32).split(16))


def _resnet50() -> tuple[nn.Module, list[Tensor]]:
    return resnet50(), list(torch.randn(8, 3, 224, 224).split(4))


def _mlp() -> tuple[nn.Module, list[Tensor]]:
    return mlp(), list(torch.randn(4096, 64).split(256))


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
