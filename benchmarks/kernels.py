"""Moments of the inputs of real norms: time against torch's own ways, error against float64.

The inputs are those of ResNet-18's norms after a few steps of training, in both memory formats;
the same after a ReLU, and images of 0 to 255, whose means are large against their deviations.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torchvision
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from varshift._engine.record.moments import channel_moments
from varshift.theory.moments import Moments

_ROUNDS = 5
_AXES = (0, 2, 3)


def run(console: Console) -> None:
    """One row per kind of input and memory format."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    table = Table(title="moments of ResNet-18's activations: CPU time, one thread, least of rounds")
    for heading in ("input", "MB", "ours", "batch norm's", "var_mean", "error, ours"):
        table.add_column(heading, justify="left" if heading == "input" else "right")
    for name, inputs in activations().items():
        for last in (False, True):
            some = [x.contiguous(memory_format=torch.channels_last) if last else x for x in inputs]
            table.add_row(
                f"{name}{', channels last' if last else ''}",
                f"{sum(x.nbytes for x in some) / 2**20:.0f}",
                _milliseconds(channel_moments, some),
                _milliseconds(lambda x: torch.batch_norm_update_stats(x, None, None, 0.0), some),
                _milliseconds(lambda x: torch.var_mean(x, _AXES), some),
                f"{max(map(_error, some)):.1e}",
            )
    console.print(table)
    torch.set_num_threads(threads)


def activations() -> dict[str, list[Tensor]]:
    """Inputs of the norms, the same after a ReLU, and the images."""
    torch.manual_seed(0)
    net = torchvision.models.resnet18(num_classes=10).train()
    colours = torch.rand(10, 3, 8, 8)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for _ in range(5):
        labels = torch.randint(10, (32,))
        images = nn.functional.interpolate(colours[labels], size=(64, 64), mode="bilinear")
        images = images + 0.3 * torch.rand(images.shape)
        nn.functional.cross_entropy(net(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    inputs: list[Tensor] = []
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(lambda _, args: inputs.append(args[0].clone()))
    with torch.no_grad():
        net(images)
    rectified = [(x - x.mean(_AXES, keepdim=True)).relu() for x in inputs]
    return {"inputs of norms": inputs, "after a ReLU": rectified, "images": [images * 255]}


def _milliseconds(way: Callable[[Tensor], object], inputs: list[Tensor]) -> str:
    return f"{1e3 * sum(_least(way, x) for x in inputs):.1f} ms"


def _least(way: Callable[[Tensor], object], x: Tensor) -> float:
    seconds = []
    for _ in range(_ROUNDS):
        start = time.thread_time()
        way(x)
        seconds.append(time.thread_time() - start)
    return min(seconds)


def _error(x: Tensor) -> float:
    """Largest relative error of a channel's variance."""
    found, exact = channel_moments(x), Moments.of(x)
    alive = exact.m2 > 0
    return float((found.m2 / exact.m2 - 1).abs()[alive].max())
