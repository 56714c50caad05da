"""Where runs are kept: a folder per run, its state while it trains, its record when it is done."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from varshift._files import replacing
from varshift.errors import DataError
from varshift.reproduce.run import Run

__all__ = ["Store", "read_lines", "write_lines"]

Record = dict[str, Any]


class Store:
    """A folder of runs. Every file in it is written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, run: Run) -> Path:
        """The folder of one run, made if it is missing."""
        path = self.folder / "runs" / run.id
        path.mkdir(parents=True, exist_ok=True)
        return path

    def state(self, run: Run) -> Path:
        """Weights, optimiser and step."""
        return self.place(run) / "state.pt"

    def weights(self, run: Run) -> Path:
        """The trained weights, a state_dict."""
        return self.place(run) / "weights.pt"

    def sweep(self, run: Run) -> None:
        """Take away what a killed process left half written. Only under the run's lock."""
        for path in self.place(run).glob(".*"):
            path.unlink()

    def finish(self, run: Run, record: Record, weights: dict[str, Tensor]) -> None:
        """Write the record, which ends the run; of its state the weights stay."""
        self.keep(run, record)
        with replacing(self.weights(run)) as fresh:
            torch.save(weights, fresh)
        self.state(run).unlink(missing_ok=True)

    def lock(self, run: Run) -> Path:
        """Held by the process that works on the run; the system lets it go when that one ends."""
        return self.place(run) / "lock"

    def record(self, run: Run) -> Record | None:
        """What was measured, or None while the run is not done."""
        path = self.place(run) / "record.json"
        return json.loads(path.read_text("utf-8")) if path.is_file() else None

    def keep(self, run: Run, record: Record) -> None:
        """Write the record; the run is done."""
        with replacing(self.place(run) / "record.json") as fresh:
            fresh.write_text(json.dumps(record, allow_nan=False, indent=1) + "\n", "utf-8")

    def take(self, runs: Iterable[Run], records: Iterable[Record]) -> None:
        """Records made elsewhere, of those runs that have none here; what failed is tried again."""
        there = {record["id"]: record for record in records if "failed" not in record}
        for run in runs:
            if run.id in there and self.record(run) is None:
                self.keep(run, there[run.id])

    def records(self, runs: Iterable[Run]) -> list[Record]:
        """The records of those runs that are done, in their order."""
        return [record for run in runs if (record := self.record(run)) is not None]


def write_lines(path: Path, records: Iterable[Record]) -> None:
    """JSON lines, one record each, the file replaced whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as fresh:
        lines = (json.dumps(record, allow_nan=False, separators=(",", ":")) for record in records)
        fresh.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def read_lines(path: Path) -> list[Record]:
    """Raises DataError for a missing file, and with the number of a line that is not JSON."""
    if not path.is_file():
        raise DataError(f"there is no file {str(path)!r}")
    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise DataError(f"line {number} of {str(path)!r} is not JSON: {error}") from error
        if not isinstance(found[-1], dict) or "run" not in found[-1]:
            raise DataError(
                f"line {number} of {str(path)!r} is no record of a run; pass a records.jsonl that "
                "varshift reproduce wrote"
            )
    return found
