"""Blame of `explain` against runs with one source of noise at a time.

A chain of convolutions with so many dropouts, 512 samples; each source reaches every later norm.
*Passes* are those of blame alone, and of the runs with one source at a time; the time is that of
the whole of `explain`, its tracing and four passes included. The other side's errors are from six
repetitions, and *z* is a difference over the errors of both.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.console import Console
from torch import nn

import varshift as vs
from benchmarks.lines import Line, asked
from benchmarks.timing import spent

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

TITLE = "Blame"
SOURCES = (3, 10, 30)
REPEATS = 6  # of the runs with one source, for their own errors


def run(console: Console, only: str = "") -> Iterator[Line]:
    """One line per number of sources."""
    vs.explain(chain(1), [torch.randn(8, 3, 8, 8) for _ in range(2)])  # imports are not timed
    for count in SOURCES:
        if asked(f"{count} sources", only):
            yield _line(count)


def _line(count: int) -> Line:
    from oracles.onesource import naive_shares

    torch.manual_seed(0)
    net = chain(count)
    data = list(torch.randn(512, 3, 8, 8).split(64))
    with torch.no_grad():
        for batch in data:
            net(batch)
    found = {}
    ours = spent(lambda: found.update(x=vs.explain(net, data)))
    naive = spent(lambda: found.update(truth=naive_shares(net, data, REPEATS))) / REPEATS
    blame = found["x"].blame
    scores = []
    for pair, (share, se) in found["truth"].items():
        got = blame.at(*pair)
        if got.se:  # pairs without a route are exactly 0 on both sides
            scores.append(abs(got.value - share) / (got.se**2 + se**2) ** 0.5)
    cells = {
        "shares": str(len(scores)),
        "passes": f"{blame.passes} against {count + 3}",
        "time": f"{ours:.1f} s against {naive:.1f} s",
        "z of 2 or less": f"{100 * sum(score <= 2 for score in scores) / len(scores):.0f} %",
        "largest z": f"{max(scores):.1f}",
    }
    return Line("", f"{count} sources", cells)


def chain(count: int) -> nn.Module:
    """Convolution, norm, ReLU, dropout, over and over: each source reaches every later norm."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, padding=1)]
    for _ in range(count):
        layers += [nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.2), nn.Conv2d(16, 16, 3, padding=1)]
    return nn.Sequential(*layers, nn.BatchNorm2d(16))
