"""Inspect against one training forward, and against torchlens."""

from __future__ import annotations

import copy
import warnings

import torch
import torchvision
from rich.console import Console
from rich.table import Table
from torch import nn

import varshift as vs
from benchmarks.timing import interleaved, ratio


def run(console: Console) -> None:
    """EfficientNet-B0, batch 2 at 224, torchvision's own rates."""
    torch.manual_seed(0)
    net = torchvision.models.efficientnet_b0().train()
    x = torch.randn(2, 3, 224, 224)
    logged = copy.deepcopy(net)
    # Two runs: torchlens leaves torch's functions wrapped, which would slow what comes after it.
    ours = {
        "training forward": lambda: _forward(net, x),
        "varshift.inspect": lambda: vs.inspect(net, x),
    }
    theirs = {
        "training forward": lambda: _forward(net, x),
        "torchlens": lambda: _torchlens(logged, x),
    }
    runs = (interleaved(ours, rounds=9), interleaved(theirs, rounds=3))
    table = Table(title="EfficientNet-B0, batch 2 at 224 × 224")
    for heading in ("way", "time", "× forward (min–max)"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    for timings in runs:
        for name, timing in timings.items():
            middle, low, high = ratio(timings, name, "training forward")
            span = f"{middle:.2f} ({low:.2f}–{high:.2f})"
            table.add_row(name, f"{timing.median * 1e3:.0f} ms", span)
    console.print(table)
    console.print("aim for inspect: ≤ 2 × forward\n")


def _forward(net: nn.Module, x: torch.Tensor) -> None:
    with torch.no_grad():
        net(x)


def _torchlens(net: nn.Module, x: torch.Tensor) -> None:
    import torchlens

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torchlens.trace(net, x)
