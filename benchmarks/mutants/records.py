"""What became of each mutant, kept as lines of JSON as soon as it is known."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.mutants.plan import RECORDS, WORK

__all__ = ["LIVES", "keep", "keep_only", "records"]

LIVES = ("survived", "unreached")  # outcomes that no test has noticed


def records() -> dict[str, dict[str, Any]]:
    """What was found, by key."""
    if not RECORDS.exists():
        return {}
    lines = [json.loads(line) for line in RECORDS.read_text().splitlines()]
    return {line["key"]: line for line in lines}


def keep(record: dict[str, Any]) -> None:
    """Write it among the others."""
    with _locked():
        _write(records() | {record["key"]: record})


def keep_only(keys: Container[str]) -> None:
    """Forget what is in no sample any more."""
    with _locked():
        _write({key: record for key, record in records().items() if key in keys})


@contextmanager
def _locked() -> Iterator[None]:
    """Several processes may each try a group."""
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write(found: dict[str, dict[str, Any]]) -> None:
    """All records, whole or not at all."""
    ordered = sorted(found.values(), key=lambda one: (one["file"], one["line"], one["key"]))
    draft = RECORDS.with_suffix(".new")
    draft.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in ordered))
    draft.rename(RECORDS)
