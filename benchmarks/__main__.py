"""Run the named benchmarks, or all: `python -m benchmarks [recalibration inspection …]`."""

from __future__ import annotations

import os
import platform
import sys
from importlib import import_module

import torch
from rich.console import Console

NAMES = (
    *("imports", "inspection", "measuring", "recalibration"),
    *("causes", "blaming", "predicting", "footprints"),
    *("noise_layers", "repairs", "finetuning"),
)


def main() -> None:
    """Print each benchmark's tables with the versions they were made with."""
    torch.set_num_threads(int(os.environ.get("BENCH_THREADS", "2")))
    console = Console(width=100)
    console.print(
        f"torch {torch.__version__}, Python {platform.python_version()}, "
        f"{torch.get_num_threads()} threads of {os.cpu_count()} cores\n"
    )
    for name in sys.argv[1:] or NAMES:
        import_module(f"benchmarks.{name}").run(console)


if __name__ == "__main__":
    main()
