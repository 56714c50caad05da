"""Run the named benchmarks, or every section of the page that is not of this code.

docs/benchmarks.md is written anew after each section. BENCH_THREADS is how many threads torch may
use (1).
"""

from __future__ import annotations

import argparse
import os
from importlib import import_module

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import page
from benchmarks.ledger import Ledger
from benchmarks.lines import Line
from benchmarks.names import COMMANDS, SECTIONS, STUDIES


def main() -> None:
    """Print each line as it is found, and keep what is whole."""
    names = (*SECTIONS, *STUDIES, *COMMANDS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(names)}")
    parser.add_argument("--only", default="", help="parts of names, with commas; nothing is kept")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(names):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    torch.set_num_threads(int(os.environ.get("BENCH_THREADS", "1")))
    ledger = Ledger()
    chosen = arguments.names or [name for name in SECTIONS if not ledger.is_current(name)]
    console = Console(width=120)
    if not chosen:
        console.print("every section is of the code that is here; name one to run it again")
    # It draws when told to: a thread that draws would be counted in the CPU time of what is timed.
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeElapsedColumn(), console=console, auto_refresh=False) as progress:
        task = progress.add_task("", total=len(chosen))
        for name in chosen:
            progress.update(task, description=name, refresh=True)
            load, lines = os.getloadavg()[0], []
            for line in import_module(f"benchmarks.{name}").run(console, arguments.only):
                lines.append(line)
                progress.console.print(_told(line), highlight=False, soft_wrap=True)
                progress.update(task, description=f"{name}: {line.name}", refresh=True)
            if name in SECTIONS and not arguments.only:
                ledger.keep(name, lines, load)
                page.run(console)
            progress.update(task, advance=1, refresh=True)


def _told(line: Line) -> str:
    cells = [f"{heading} {cell}" for heading, cell in line.cells.items()]
    aim = [f"aim {line.aim}, {'MISSED' if line.missed else 'reached'}"] if line.aim else []
    return "; ".join([f"{line.table}: {line.name}".removeprefix(": "), *cells, *aim])


if __name__ == "__main__":
    main()
