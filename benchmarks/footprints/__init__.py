"""Noise read back from checkpoints of small networks that are trained here.

`python -m benchmarks footprints` trains what is not trained yet and reads what is not read yet;
then the tables are shown and written. FOOTPRINT_STEPS=train or read does one of the two. `--only`
keeps to parts of kinds' names. Checkpoints are kept in the user's cache, or in the folder that
FOOTPRINT_CACHE names; what was read in docs/results/footprints.jsonl, or in the file that
FOOTPRINT_RESULTS names: take that away, and all is read anew. FOOTPRINT_ROUNDS=2:4 takes networks
of the same kinds that nobody has seen.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from benchmarks.footprints import records, table
from benchmarks.footprints.plan import cases
from benchmarks.footprints.reading import Truth, load
from benchmarks.footprints.training import cache_folder, index, train
from benchmarks.lines import Line, asked

__all__ = ["Truth", "cache_folder", "index", "load", "run"]


def run(console: Console, only: str = "") -> Iterable[Line]:
    """Train, read, and show: whatever of it is not done yet."""
    steps = os.environ.get("FOOTPRINT_STEPS", "train,read")
    results = Path(os.environ.get("FOOTPRINT_RESULTS", records.RESULTS))
    chosen = [case for case in cases() if asked(case.kind, only)]
    folder = cache_folder()
    if "train" in steps:
        for line in train(chosen, folder):
            console.print(f"trained {line['key']}: {line['seconds']} s", highlight=False)
    if "read" in steps:
        for line in records.read(chosen, index(folder), results):
            seconds = " + ".join(f"{line[way]['seconds']} s" for way in table.WAYS)
            console.print(f"read {line['key']}: {seconds}", highlight=False)
    lines = records.lines_of(results)
    table.show([line for line in lines if line["kind"] in {case.kind for case in chosen}], console)
    if not only and "read" in steps:
        table.write(lines, results.parent)
    return ()
