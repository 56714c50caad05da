"""Run the named benchmarks, or all: `python -m benchmarks [ratios recalibration …]`."""

from __future__ import annotations

import argparse
import json
import os
import platform
from importlib import import_module
from pathlib import Path

import torch
from rich.console import Console

NAMES = (
    *("ratios", "imports", "inspection", "measuring", "recalibration", "kernels"),
    *("causes", "blaming", "coverage", "predicting", "without_data", "reach", "footprints"),
    *("noise_layers", "repairs", "finetuning", "shipped", "monitoring", "accelerator"),
    "training_speed",
)


def main() -> None:
    """Print each benchmark's tables with the versions they were made with."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--only", default="", help="ratios, footprints: parts of names")
    parser.add_argument("--json", type=Path, help="ratios: write the figures there, too")
    parser.add_argument("--train", action="store_true", help="footprints: train, do not read")
    parser.add_argument("--read", action="store_true", help="footprints: read what is trained")
    parser.add_argument("--results", type=Path, help="footprints: what was read, a .jsonl")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(NAMES)
    if unknown:
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    torch.set_num_threads(int(os.environ.get("BENCH_THREADS", "2")))
    console = Console(width=100)
    console.print(
        f"torch {torch.__version__}, Python {platform.python_version()}, "
        f"{torch.get_num_threads()} threads of {os.cpu_count()} cores\n"
    )
    for name in arguments.names or NAMES:
        benchmark = import_module(f"benchmarks.{name}")
        if name == "footprints":
            benchmark.run(
                console,
                training=arguments.train or not arguments.read,
                reading=arguments.read or not arguments.train,
                only=arguments.only,
                results=arguments.results,
            )
            continue
        if name != "ratios":
            benchmark.run(console)
            continue
        figures = benchmark.run(console, arguments.only)
        if arguments.json:
            arguments.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
