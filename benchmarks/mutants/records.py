"""What became of each mutant, kept as lines of JSON as soon as it is known."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.mutants.plan import RECORDS

__all__ = ["LIVES", "keep", "records"]

LIVES = ("survived", "unreached")  # outcomes that no test has noticed


def records() -> dict[str, dict[str, Any]]:
    """What was found, by key."""
    if not RECORDS.exists():
        return {}
    lines = [json.loads(line) for line in RECORDS.read_text().splitlines()]
    return {line["key"]: line for line in lines}


def keep(found: dict[str, dict[str, Any]]) -> None:
    """Write all records, whole or not at all."""
    ordered = sorted(found.values(), key=lambda one: (one["file"], one["line"], one["key"]))
    draft = RECORDS.with_suffix(".new")
    draft.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in ordered))
    draft.rename(RECORDS)
