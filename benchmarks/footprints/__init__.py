"""Noise read back from checkpoints of small networks that are trained here.

`python -m benchmarks footprints --train` trains what is not trained yet, `--read` reads what is not
read yet, neither of them does both; then the tables are shown and written. `--only KINDS` keeps to
kinds with one of these comma-separated parts in their names. Checkpoints are kept in the user's
cache, or in the folder that FOOTPRINT_CACHE names; what was read in docs/results/footprints.jsonl,
or in the file of `--results`: take that away, and all is read anew. FOOTPRINT_ROUNDS=2:4 takes
networks of the same kinds that nobody has seen.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from benchmarks.footprints import records, table
from benchmarks.footprints.plan import cases
from benchmarks.footprints.reading import Truth, load
from benchmarks.footprints.training import cache_folder, index, train

__all__ = ["Truth", "cache_folder", "index", "load", "run"]


def run(
    console: Console,
    *,
    training: bool = True,
    reading: bool = True,
    only: str = "",
    results: Path | None = None,
) -> None:
    """Train, read, and show: whatever of it is not done yet."""
    results = results or records.RESULTS
    chosen = [case for case in cases() if any(part in case.kind for part in only.split(","))]
    folder = cache_folder()
    if training:
        for line in train(chosen, folder):
            console.print(f"trained {line['key']}: {line['seconds']} s", highlight=False)
    if reading:
        for line in records.read(chosen, index(folder), results):
            seconds = " + ".join(f"{line[way]['seconds']} s" for way in table.WAYS)
            console.print(f"read {line['key']}: {seconds}", highlight=False)
    lines = records.lines_of(results)
    table.show([line for line in lines if line["kind"] in {case.kind for case in chosen}], console)
    if not only and reading:
        table.write(lines, results.parent)
