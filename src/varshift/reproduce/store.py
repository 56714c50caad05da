"""Where runs are kept: a folder per run, its state while it trains, its record when it is done."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from varshift._files import replacing
from varshift.reproduce.records import Record, RecordFile
from varshift.reproduce.run import Run

__all__ = ["Store"]


class Store:
    """A folder of runs. Every file in it is written whole or not at all.

    With a file of `records` each run that is done gets its line there too, at once.
    """

    def __init__(self, folder: Path, records: Path | None = None) -> None:
        self.folder = folder
        self.lines = None if records is None else RecordFile(records)

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
        self._write(run, record)
        if self.lines is not None:
            self.lines.add([record])

    def exchange(self, runs: Iterable[Run]) -> int:
        """Records in the file are no longer missing here, nor those here in the file.

        What failed is tried again. Returns of how many of these runs the file has the record.
        """
        if self.lines is None:
            return 0
        there = {record.get("id"): record for record in self.lines.read() if "failed" not in record}
        known = [run for run in runs if run.id in there]
        for run in known:
            if self.record(run) is None:
                self._write(run, there[run.id])
        paths = sorted(self.folder.glob("runs/*/record.json"))
        self.lines.add(json.loads(path.read_text("utf-8")) for path in paths)
        return len(known)

    def _write(self, run: Run, record: Record) -> None:
        with replacing(self.place(run) / "record.json") as fresh:
            fresh.write_text(json.dumps(record, allow_nan=False, indent=1) + "\n", "utf-8")

    def records(self, runs: Iterable[Run]) -> list[Record]:
        """The records of those runs that are done, in their order."""
        return [record for run in runs if (record := self.record(run)) is not None]
