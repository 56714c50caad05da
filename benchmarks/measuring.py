"""Measure against the two plain passes it needs, one in training and one in evaluation mode."""

from __future__ import annotations

import copy

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import varshift as vs
from benchmarks.nets import mlp, resnet18_cifar, resnet50, trained_a_little
from benchmarks.timing import interleaved, ratio


def run(console: Console) -> None:
    """A CIFAR-sized and an ImageNet-sized network, and an MLP."""
    torch.manual_seed(0)
    table = Table(title=f"measure, {torch.get_num_threads()} threads")
    for heading in ("network", "two plain passes", "measure", "ratio (min–max)"):
        table.add_column(heading, justify="left" if heading == "network" else "right")
    for title, net, data, rounds in (
        ("MLP", mlp(), torch.randn(8192, 64).split(256), 5),
        ("ResNet-18 CIFAR", resnet18_cifar(), torch.randn(512, 3, 32, 32).split(64), 3),
        ("ResNet-50 224", resnet50(), torch.randn(64, 3, 224, 224).split(16), 3),
    ):
        batches = list(data)
        plain, measured = trained_a_little(net, batches[:2]), copy.deepcopy(net)
        timings = interleaved(
            {"plain": _two_passes(plain, batches), "measure": _measure(measured, batches)}, rounds
        )
        middle, low, high = ratio(timings, "measure", "plain")
        table.add_row(
            title,
            f"{timings['plain'].median:.3f} s",
            f"{timings['measure'].median:.3f} s",
            f"{middle:.2f} ({low:.2f}–{high:.2f})",
        )
    console.print(table)
    console.print("aim for measure: ≤ 1.2 × the two passes\n")


def _two_passes(net: nn.Module, batches: list[Tensor]):  # type: ignore[no-untyped-def]
    def run_both() -> None:
        with torch.no_grad():
            for batch in batches:
                net.train()(batch)
                net.eval()(batch)

    return run_both


def _measure(net: nn.Module, batches: list[Tensor]):  # type: ignore[no-untyped-def]
    return lambda: vs.measure(net, batches)
