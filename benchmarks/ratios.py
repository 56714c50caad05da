"""What each verb costs over the plain forwards it needs, how that grows, and the first call.

CPU time on one thread, medians of rounds in which both are run in turn.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sized

import torch
from rich.console import Console

from benchmarks import cases
from benchmarks.cost import Work, cost

FIRST = {
    "inspect": "vs.inspect(net, data[0])",
    "measure": "vs.measure(net, data)",
    "recalibrate": "vs.recalibrate(net, data)",
}
_FIRST = """
import time, torch, varshift as vs
torch.set_num_threads(1)
data = [torch.randn(16, 8) for _ in range(4)]
net = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(8, 4), torch.nn.BatchNorm1d(4))
net(data[0])
start = time.process_time()
{}
print(time.process_time() - start)
"""


def run(console: Console, only: str = "") -> dict[str, float]:
    """Print three lists; the figures by name, of what has a part of `only` in its name."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {**_verbs(console, only), **_growth(console, only), **_first(console, only)}
    finally:
        torch.set_num_threads(threads)


def _asked(name: str, only: str) -> bool:
    return any(part in name for part in only.split(","))


def _verbs(console: Console, only: str) -> dict[str, float]:
    wanted = [case for case in cases.verbs() if _asked(case.name, only)]
    _head(console, wanted, "verb", "forwards", "verb", "ratio (min–max)", "aim")
    found = {}
    for case in wanted:
        torch.manual_seed(0)
        spent = cost(*case.make(), case.rounds)
        found[case.name] = spent.ratio
        _line(
            console,
            case.name,
            f"{spent.base:.3f} s",
            f"{spent.seconds:.3f} s",
            f"{spent.ratio:.2f} ({spent.low:.2f}–{spent.high:.2f})",
            f"≤ {case.aim}" if case.aim else "—",
        )
    return found


def _growth(console: Console, only: str) -> dict[str, float]:
    """Time per norm and per batch, in milliseconds: level where the whole is linear."""
    wanted = [growing for growing in _growing() if _asked(growing[0], only)]
    _head(console, wanted, "growth", "whole", "each")
    found = {}
    for name, count, make in wanted:
        torch.manual_seed(0)
        work = make(count)
        seconds = statistics.median(_once(work) for _ in range(3 if count < 1000 else 1))
        found[name] = 1e3 * seconds / count
        _line(console, name, f"{seconds:.2f} s", f"{found[name]:.2f} ms")
    return found


def _head(console: Console, wanted: Sized, *headings: str) -> None:
    if wanted:
        console.print("\nCPU time, one thread, medians", highlight=False)
        _line(console, *headings)


def _line(console: Console, name: str, *figures: str) -> None:
    """Said as soon as it is known: some take minutes."""
    console.print(f"{name:<32}" + "".join(f"{each:>17}" for each in figures), highlight=False)


def _growing() -> Iterable[tuple[str, int, Callable[[int], Work]]]:
    for count in cases.NORMS:
        yield f"measure of {count} norms, ms each", count, cases.of_norms
    for count in cases.BATCHES:
        yield f"recalibrate of {count:,} batches, ms each", count, cases.of_batches


def _once(work: Work) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _first(console: Console, only: str) -> dict[str, float]:
    wanted = [verb for verb in FIRST if _asked(f"first {verb}", only)]
    _head(console, wanted, "first call in a process", "of 3 processes")
    found = {}
    for verb in wanted:
        command = [sys.executable, "-c", _FIRST.format(FIRST[verb])]
        seconds = statistics.median(float(subprocess.check_output(command)) for _ in range(3))
        found[f"first {verb} in a process, s"] = seconds
        _line(console, verb, f"{seconds:.2f} s")
    return found
