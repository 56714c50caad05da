"""What a monitor costs a training run: two twins train in turn, one of them watched.

Both take the same batches, block by block in one process, so that whatever else the machine does
hits both. The monitor's clock stands still while the other twin trains. Two figures are given:

* direct: the time inside `monitor.step`, over that of all the rest of the watched twin's steps;
* total: the watched twin's time over the other one's, block by block, with the 95 % interval of the
  mean. It holds what is not inside `monitor.step` (caches, memory, collected garbage), and the
  machine's own noise.

CPU time of the process and wall time, each. The trace and the first look are a debt that later
steps pay off, so they are part of the figures "from the first step".
"""

from __future__ import annotations

import math
import os
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F

import varshift as vs
from benchmarks.nets import mlp, resnet18

_NORMAL = 1.96


def run(console: Console) -> None:
    """A small MLP and ResNet-18, at a budget of 1 %."""
    scale = float(os.environ.get("BENCH_SCALE", "1"))
    for title, make, shape, block, blocks in (
        ("MLP, 256 × 64", mlp, (256, 64), 5, int(1250 * scale)),
        ("ResNet-18, 4 × 3 × 64 × 64", resnet18, (4, 3, 64, 64), 1, int(1000 * scale)),
    ):
        table = Table(title=f"{title}: monitor, budget 1 %, {torch.get_num_threads()} threads")
        for heading in ("step", "looks", "a look", "time", "from", "direct", "total (95 %)"):
            table.add_column(heading, justify="right")
        for row in _rows(Race(make, shape).run(block, blocks)):
            table.add_row(*row)
        console.print(table)
    console.print("aim: ≤ 1 % on both\n")


@dataclass
class Times:
    """Seconds of one block: of the watched twin without and inside `step`, of the other one."""

    watched: float
    inside: float
    other: float


@dataclass
class Ran:
    """What a race has come to, by clock."""

    blocks: dict[str, list[Times]] = field(default_factory=lambda: {"CPU": [], "wall": []})
    steps: int = 0
    looks: int = 0
    cost: float = 0.0
    settled: int = 0  # the block from which the first look is over


CLOCKS: dict[str, Callable[[], float]] = {"CPU": time.process_time, "wall": time.perf_counter}


class Race:
    """Two twins and their optimisers."""

    def __init__(self, make: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
        torch.manual_seed(0)
        self._twins = []
        for _ in range(2):
            with torch.random.fork_rng():
                net = make()
            optimiser = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
            self._twins.append((net, optimiser))
        self._data = [(torch.randn(*shape), torch.randint(0, 10, shape[:1])) for _ in range(8)]
        self._inside = dict.fromkeys(CLOCKS, 0.0)

    def run(self, block: int, blocks: int) -> Ran:
        """The twins change who goes first in every pair of blocks."""
        watched, other = self._twins
        monitor = vs.Monitor(watched[0])
        running, since = 0.0, None

        def clock() -> float:
            return running + (0.0 if since is None else time.perf_counter() - since)

        monitor._pace.clock = clock
        found = Ran()
        for twin in self._twins:  # warm caches, and let the allocator grow
            self._steps(twin, 3 * block, None)
        for at in range(blocks):
            times = {name: [0.0, 0.0, 0.0] for name in CLOCKS}
            for which in (0, 1) if at % 2 else (1, 0):
                before = {name: read() for name, read in CLOCKS.items()}
                self._inside = dict.fromkeys(CLOCKS, 0.0)
                if which == 0:
                    since = time.perf_counter()
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        self._steps(watched, block, monitor)
                    running += time.perf_counter() - since
                    since = None
                else:
                    self._steps(other, block, None)
                for name, read in CLOCKS.items():
                    took = read() - before[name] - self._inside[name]
                    times[name][2 * which] = took
                    if which == 0:
                        times[name][1] = self._inside[name]
            for name, (alone, inside, base) in times.items():
                found.blocks[name].append(Times(alone, inside, base))
            if not found.settled and monitor.history:
                found.settled = at + 1
        found.steps, found.looks = block * blocks, len(monitor.history)
        found.cost = statistics.median([look.cost for look in monitor.history] or [math.nan])
        return found

    def _steps(
        self, twin: tuple[nn.Module, torch.optim.Optimizer], steps: int, monitor: vs.Monitor | None
    ) -> None:
        net, optimiser = twin
        for at in range(steps):
            x, y = self._data[at % len(self._data)]
            optimiser.zero_grad()
            F.cross_entropy(net(x), y).backward()
            optimiser.step()
            if monitor is not None:
                self._told(monitor, x)

    def _told(self, monitor: vs.Monitor, x: Tensor) -> None:
        before = {name: read() for name, read in CLOCKS.items()}
        monitor.step(x)
        for name, read in CLOCKS.items():
            self._inside[name] += read() - before[name]


def _rows(ran: Ran) -> list[tuple[str, ...]]:
    rows = []
    step = sum(each.other for each in ran.blocks["wall"]) / ran.steps
    for name, blocks in ran.blocks.items():
        for since, chosen in (("first step", blocks), ("first look", blocks[ran.settled :])):
            first = not rows
            rows.append(
                (
                    f"{1000 * step:.1f} ms" if first else "",
                    f"{ran.looks} in {ran.steps}" if first else "",
                    f"{ran.cost / step:.2f} steps" if first else "",
                    name,
                    since,
                    _direct(chosen),
                    _total(chosen),
                )
            )
    return rows


def _direct(blocks: list[Times]) -> str:
    return f"{100 * sum(b.inside for b in blocks) / sum(b.watched for b in blocks):.2f} %"


def _total(blocks: list[Times]) -> str:
    """Mean of the differences over mean of the other twin's time, ± from how blocks scatter."""
    base = statistics.mean(each.other for each in blocks)
    differences = [(each.watched + each.inside - each.other) / base for each in blocks]
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    return f"{100 * statistics.mean(differences):+.2f} ± {100 * _NORMAL * error:.2f} %"
