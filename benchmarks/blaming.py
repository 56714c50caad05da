"""Blame: passes and time against one source at a time, and how well the two agree."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

import varshift as vs

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

SOURCES = (3, 10, 30)
REPEATS = 6  # of the naive runs, for their own errors


def run(console: Console) -> None:
    """A convolutional network with 3, 10 and 30 dropouts on 2048 samples."""
    from oracles.onesource import naive_shares

    torch.manual_seed(0)
    table = Table(title="blame against one-source-at-a-time runs, 2048 samples")
    for heading in (
        *("sources", "pairs", "passes", "naive passes", "time", "naive time"),
        *("|z| ≤ 2", "largest |z|", "largest gap"),
    ):
        table.add_column(heading, justify="right")
    vs.explain(chain(1), [torch.randn(8, 3, 8, 8) for _ in range(2)])  # imports are not timed
    for count in SOURCES:
        net = chain(count)
        data = list(torch.randn(2048, 3, 8, 8).split(64))
        with torch.no_grad():
            for batch in data:
                net(batch)
        start = time.perf_counter()
        x = vs.explain(net, data)
        ours = time.perf_counter() - start
        start = time.perf_counter()
        truth = naive_shares(net, data, REPEATS)
        naive = (time.perf_counter() - start) / REPEATS
        scores, differences = [], []
        for pair, (share, se) in truth.items():
            got = x.blame.at(*pair)
            if got.se:  # pairs without a route are exactly 0 on both sides
                scores.append(abs(got.value - share) / (got.se**2 + se**2) ** 0.5)
                differences.append(abs(got.value - share))
        inside = sum(score <= 2 for score in scores) / len(scores)
        table.add_row(
            *(str(count), str(len(scores)), str(x.blame.passes), str(count + 3)),
            *(f"{ours:.1f} s", f"{naive:.1f} s", f"{100 * inside:.0f} %"),
            *(f"{max(scores):.1f}", f"{max(differences):.3f}"),
        )
    console.print(table)
    console.print(
        "passes: of blame alone; the time is that of the whole of explain (four passes and the "
        "tracing), the naive time that of one run per source\n"
    )


def chain(count: int) -> nn.Module:
    """Convolution, norm, ReLU, dropout, over and over: each source reaches every later norm."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, padding=1)]
    for _ in range(count):
        layers += [nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.2), nn.Conv2d(16, 16, 3, padding=1)]
    return nn.Sequential(*layers, nn.BatchNorm2d(16))
