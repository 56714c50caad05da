"""What a monitor costs a training run: one network trains in blocks, and in every third is watched.

Three kinds of blocks take turns in changing order, so that whatever else the machine does hits all:
watched; not watched; and not watched once more, which says what the method shows where there is
nothing to show. It is one network, for two twins lie at different places in memory, and that alone
was found to be worth more than half a percent. The monitor's clock stands still in the other
blocks. A block does not end before two steps have followed a look.

* direct: the time inside `monitor.step`, over that of all the rest of the watched steps;
* all steps: a watched step, `monitor.step` included, against one that is not watched: by the mean
  time, so that it holds what is not inside `monitor.step` (caches, memory, collected garbage);
* middle: the same, but of training's part only the middle four fifths of the steps are averaged.
  A slower step after a look is within those; a step that another process has stopped is not.

Rows with "not" are of the blocks that are not watched. With 95 % intervals from twenty successive
parts of the run. CPU time of the process and wall time. The trace and the first look are a debt
that later looks wait for, so they are part of all figures. Below stands what the monitor itself
says that it took.
"""

from __future__ import annotations

import math
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import permutations

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F

import varshift as vs
from benchmarks.lines import Line, asked
from benchmarks.nets import mlp, resnet18

_PARTS = 20
_STUDENT = 2.09  # of 19 degrees of freedom, at 95 %
_AFTER = 2  # steps that a look may slow down
_CUT = 0.1  # of the steps, at each end
_CLOCKS = (time.process_time, time.perf_counter)
_NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int, int]] = {
    "MLP, 256 × 64": (mlp, (256, 64), 10, 900),
    "ResNet-18, 4 × 3 × 64 × 64": (resnet18, (4, 3, 64, 64), 5, 240),
}


def run(console: Console, only: str = "") -> Iterable[Line]:
    """A small MLP and ResNet-18, at a budget of 1 %.

    BENCH_SCALE makes the runs longer or shorter.
    """
    scale = float(os.environ.get("BENCH_SCALE", "1"))
    for title, (make, shape, block, rounds) in _NETS.items():
        if not asked(title, only):
            continue
        table = Table(title=f"{title}: monitor, budget 1 %, {torch.get_num_threads()} threads")
        for heading in ("step", "looks", "a look", "time", "direct", "all steps", "middle"):
            table.add_column(heading, justify="right", no_wrap=True)
        ran = Race(make, shape).run(block, int(rounds * scale))
        table.caption = f"monitor.overhead: {100 * ran.monitor.overhead:.2f} %"
        for row in _rows(ran):
            table.add_row(*row)
        console.print(table)
    console.print("aim: ≤ 1 % on both\n")
    return ()


@dataclass
class Block:
    """What the steps of a block took: (CPU, wall) seconds of training, and inside `step`."""

    training: list[tuple[float, float]] = field(default_factory=list)
    inside: list[tuple[float, float]] = field(default_factory=list)


@dataclass
class Ran:
    """What a race has come to: rounds of three blocks, and the monitor."""

    rounds: list[dict[str, Block]]
    monitor: vs.Monitor


class _Silent:
    """Stands for the monitor in blocks that are not watched."""

    def step(self, batch: Tensor) -> None:
        return None


class Race:
    """One network and its optimiser."""

    def __init__(self, make: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
        torch.manual_seed(0)
        self._net = make()
        self._optimiser = torch.optim.SGD(self._net.parameters(), 0.01, momentum=0.9)
        self._data = [(torch.randn(*shape), torch.randint(0, 10, shape[:1])) for _ in range(8)]
        self._at = 0

    def run(self, steps: int, rounds: int) -> Ran:
        """So many rounds of three blocks."""
        monitor = vs.Monitor(self._net)
        running, since = 0.0, 0.0
        stands = True

        def clock() -> float:
            return running if stands else running + time.perf_counter() - since

        monitor._pace.clock = clock
        self._block(3 * steps, _Silent())  # warm caches, and let the allocator grow
        orders = list(permutations(("watched", "not", "not again")))
        found = Ran([], monitor)
        for at in range(rounds):
            blocks = {}
            for kind in orders[at % len(orders)]:
                if kind == "watched":
                    since, stands = time.perf_counter(), False
                    blocks[kind] = self._block(steps, monitor)
                    running, stands = clock(), True
                else:
                    blocks[kind] = self._block(steps, _Silent())
            found.rounds.append(blocks)
        return found

    def _block(self, steps: int, told: vs.Monitor | _Silent) -> Block:
        found = Block()
        left = steps
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            while left > 0:
                start = [read() for read in _CLOCKS]
                x = self._step()
                middle = [read() for read in _CLOCKS]
                record = told.step(x)
                end = [read() for read in _CLOCKS]
                found.training.append((middle[0] - start[0], middle[1] - start[1]))
                found.inside.append((end[0] - middle[0], end[1] - middle[1]))
                left = max(left - 1, 0 if record is None else _AFTER)
        return found

    def _step(self) -> Tensor:
        x, y = self._data[self._at % len(self._data)]
        self._at += 1
        self._optimiser.zero_grad()
        F.cross_entropy(self._net(x), y).backward()
        self._optimiser.step()
        return x


def _rows(ran: Ran) -> Iterable[tuple[str, ...]]:
    steps = sum(len(blocks["watched"].training) for blocks in ran.rounds)
    step = statistics.median(t[1] for blocks in ran.rounds for t in blocks["not"].training)
    history = ran.monitor.history
    cost = statistics.median([look.cost for look in history] or [math.nan])
    for clock, name in enumerate(("CPU", "wall")):
        for kind in ("watched", "not again"):
            first = clock == 0 and kind == "watched"
            direct, whole, middle = _compared(ran.rounds, kind, clock)
            yield (
                f"{1000 * step:.1f} ms" if first else "",
                f"{len(history)} in {steps}" if first else "",
                f"{cost / step:.2f} steps" if first else "",
                name if kind == "watched" else f"{name}, not",
                f"{100 * direct:.2f} %",
                whole,
                middle,
            )


def _compared(rounds: list[dict[str, Block]], kind: str, clock: int) -> tuple[float, str, str]:
    """Of such blocks against those that are not watched: direct, all steps, middle."""
    parts = [
        rounds[at * len(rounds) // _PARTS : (at + 1) * len(rounds) // _PARTS]
        for at in range(_PARTS)
    ]
    found = [_part(part, kind, clock) for part in parts if part]
    direct = _direct(rounds, kind, clock)
    return direct, _interval([whole for whole, _ in found]), _interval([mid for _, mid in found])


def _part(rounds: list[dict[str, Block]], kind: str, clock: int) -> tuple[float, float]:
    ours, base = _times(rounds, kind, clock), _times(rounds, "not", clock)
    ours_inside, base_inside = (
        _times(rounds, kind, clock, inside=True),
        _times(rounds, "not", clock, inside=True),
    )
    inside, silent = statistics.mean(ours_inside), statistics.mean(base_inside)
    whole = (statistics.mean(ours) + inside) / (statistics.mean(base) + silent) - 1
    middle = (_trimmed(ours) + inside) / (_trimmed(base) + silent) - 1
    return whole, middle


def _direct(rounds: list[dict[str, Block]], kind: str, clock: int) -> float:
    """Less what the two readings of the clock take, which is what a silent `step` shows."""
    silent = statistics.median(_times(rounds, "not", clock, inside=True))
    inside = _times(rounds, kind, clock, inside=True)
    return (sum(inside) - silent * len(inside)) / sum(_times(rounds, kind, clock))


def _times(
    rounds: list[dict[str, Block]], kind: str, clock: int, *, inside: bool = False
) -> list[float]:
    blocks = [blocks[kind] for blocks in rounds]
    return [t[clock] for b in blocks for t in (b.inside if inside else b.training)]


def _trimmed(times: list[float]) -> float:
    cut = int(_CUT * len(times))
    return statistics.mean(sorted(times)[cut : len(times) - cut])


def _interval(values: list[float]) -> str:
    error = _STUDENT * statistics.stdev(values) / math.sqrt(len(values))
    return f"{100 * statistics.mean(values):+.2f} ± {100 * error:.2f} %"
