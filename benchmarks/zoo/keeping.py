"""Lines of docs/results/zoo.jsonl, and the worker that makes them; it may be killed at any time."""

from __future__ import annotations

import json
import math
import os
import select
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["RECORDS", "Limits", "keep", "lines", "read"]

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "docs/results/zoo.jsonl"


@dataclass(frozen=True)
class Limits:
    """Of a worker: seconds and bytes for one name, and how many names before a fresh one.

    Networks of more parameters than `first` come after all others, by size.
    """

    seconds: int = 600
    memory: int = 12 << 30
    names: int = 60
    first: float = 40e6


def lines(path: Path = RECORDS) -> dict[str, dict[str, Any]]:
    """The last line of each name; half a line, where a run was killed, counts as none."""
    found = {}
    for text in path.read_text().splitlines() if path.exists() else []:
        with suppress(json.JSONDecodeError):
            line = json.loads(text)
            found[line["name"]] = line
    return found


def keep(line: dict[str, Any], path: Path = RECORDS) -> None:
    """Append, in one write."""
    with path.open("a") as out:
        out.write(json.dumps(line, ensure_ascii=False) + "\n")


def read(names: Iterable[str], limits: Limits, path: Path = RECORDS) -> None:
    """Ask about each, small networks first."""
    put_off = dict(_asked(names, limits, limits.first, path))
    for _ in _asked(sorted(put_off, key=put_off.__getitem__), limits, math.inf, path):
        pass


def _asked(
    names: Iterable[str], limits: Limits, largest: float, path: Path
) -> Iterator[tuple[str, int]]:
    """Keep what a worker says; yields what it put off, with its size.

    A worker that says nothing in time, or dies, is replaced.
    """
    worker: Worker | None = None
    try:
        for asked, name in enumerate(names):
            if worker is None or asked % limits.names == 0:
                if worker is not None:
                    worker.stop()
                worker = Worker(limits)
            line = worker.ask(name, largest)
            if "ended" in line:
                worker.stop()
                worker = None
                line = {"name": name, "outcome": "failed", "reason": line["ended"]}
            if line["outcome"] == "put off":
                yield name, line["parameters"]
                continue
            keep(line, path)
            print(name, line["outcome"], line.get("reason", ""), flush=True)
    finally:
        if worker is not None:
            worker.stop()


class Worker:
    """A child that reads architectures, one at a time."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.answers, theirs = os.pipe()
        command = [sys.executable, "-m", "benchmarks.zoo.worker", str(theirs), str(limits.memory)]
        self.child = subprocess.Popen(
            command, stdin=subprocess.PIPE, pass_fds=[theirs], cwd=ROOT, text=True
        )
        os.close(theirs)

    def ask(self, name: str, largest: float) -> dict[str, Any]:
        """Its line, or under "ended" why there is none."""
        try:
            print(largest, name, file=self.child.stdin, flush=True)
        except BrokenPipeError:
            return {"ended": "the worker did not start"}
        said = b""
        while not said.endswith(b"\n"):
            ready, _, _ = select.select([self.answers], [], [], self.limits.seconds)
            if not ready:
                return {"ended": f"took longer than {self.limits.seconds} s"}
            part = os.read(self.answers, 1 << 16)
            if not part:
                code = self.child.wait()
                return {"ended": f"its process ended with {code}"}
            said += part
        return dict(json.loads(said))

    def stop(self) -> None:
        """Kill and forget."""
        self.child.kill()
        self.child.communicate()
        os.close(self.answers)
