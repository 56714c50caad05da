"""Public networks out of wheels, read with `vs.footprint`; it writes their page.

`python -m benchmarks shipped`. Wheels come from the folder `SHIPPED_WHEELS` (build/wheels), and by
`pip download --no-deps` where it lacks them. h5py is needed. What is done is kept beside the page,
in `docs/results/shipped-networks.jsonl`, so that a run that was stopped goes on where it was;
delete it to begin anew. `--only` keeps to parts of the networks' names.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.lines import Line, asked
from benchmarks.shipped.judging import Row, read
from benchmarks.shipped.networks import networks
from benchmarks.shipped.page import HEADINGS, cells, write

KEPT = Path(__file__).parents[2] / "docs" / "results" / "shipped-networks.jsonl"


def run(console: Console, only: str = "") -> Iterable[Line]:
    """Whatever is not done yet, then the tables; the documentation's page is written."""
    rows = list(_kept())
    for network in networks():
        if asked(network.name, only) and not any(row.network == network.name for row in rows):
            began = time.monotonic()
            found, footprint = read(network)
            rows += found
            with KEPT.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(asdict(row)) + "\n" for row in found)
            console.print(f"{network.name}: {time.monotonic() - began:.0f} s", *footprint.notes)
        mine = [row for row in rows if row.network == network.name]
        if mine:
            table = Table(*HEADINGS, title=network.name)
            for row in mine:
                table.add_row(*cells(row))
            console.print(table)
    write(networks(), list(_kept()))
    return ()


def _kept() -> Iterator[Row]:
    if KEPT.exists():
        for line in KEPT.read_text(encoding="utf-8").splitlines():
            yield Row(**json.loads(line))
