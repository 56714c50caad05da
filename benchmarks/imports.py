"""What `import varshift` adds to `import torch`, and how long `varshift --help` takes."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

_IMPORT = "import time, torch, numpy; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
_ALL = "import varshift; [getattr(varshift, name) for name in varshift.__all__]"
_ROUNDS = 7


def run(console: Console) -> None:
    """Medians over fresh processes."""
    table = Table(title=f"start-up, median (min–max) of {_ROUNDS} fresh processes")
    for heading in ("what", "time", "aim"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    table.add_row("import varshift, beyond torch", _printed("import varshift"), "≤ 50 ms")
    table.add_row("… and every public name", _printed(_ALL), "")
    table.add_row(
        "varshift --help",
        _whole([str(Path(sys.executable).parent / "varshift"), "--help"]),
        "≤ 300 ms",
    )
    console.print(table)


def _printed(statement: str) -> str:
    command = [sys.executable, "-c", _IMPORT.format(statement)]
    return _summary([float(subprocess.check_output(command)) for _ in range(_ROUNDS)])


def _whole(command: list[str]) -> str:
    seconds = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - start)
    return _summary(seconds)


def _summary(seconds: list[float]) -> str:
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    return f"{middle * 1e3:.0f} ms ({low * 1e3:.0f}–{high * 1e3:.0f})"
