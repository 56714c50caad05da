"""What `import varshift` adds to `import torch`, the first call in a process, the command line.

CPU time of fresh processes.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from benchmarks.lines import Line, Spread, aimed, asked

TITLE = "Start-up"
ROUNDS = 5
_TIMED = """
import time, torch, numpy
torch.set_num_threads(1)
data = [torch.randn(16, 8) for _ in range(4)]
net = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(8, 4), torch.nn.BatchNorm1d(4))
net(data[0])
{}
start = time.process_time()
{}
print(time.process_time() - start)
"""
_ALL = "import varshift; [getattr(varshift, name) for name in varshift.__all__]"
# What comes before the clock starts, what is timed, and the milliseconds it may take.
STATEMENTS = {
    "import varshift, beyond torch": ("", "import varshift", 50),
    "… and every public name": ("", _ALL, None),
    "first inspect in a process": ("import varshift as vs", "vs.inspect(net, data[0])", None),
    "first measure in a process": ("import varshift as vs", "vs.measure(net, data)", None),
    "first recalibrate in a process": ("import varshift as vs", "vs.recalibrate(net, data)", None),
}


def run(console: Console, only: str = "") -> Iterator[Line]:
    """Each over fresh processes."""
    for name, (before, statement, most) in STATEMENTS.items():
        if asked(name, only):
            command = [sys.executable, "-c", _TIMED.format(before, statement)]
            yield _line(
                name, [float(subprocess.check_output(command)) for _ in range(ROUNDS)], most
            )
    if asked("varshift --help", only):
        command = [str(Path(sys.executable).parent / "varshift"), "--help"]
        yield _line("varshift --help", [_whole(command) for _ in range(ROUNDS)], 300)


def _line(name: str, seconds: list[float], most: float | None) -> Line:
    spread = Spread.of(1e3 * one for one in seconds)
    return Line("", name, {"ms": spread}, **aimed(spread.median, most))


def _whole(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
