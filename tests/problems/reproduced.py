"""What a reproduction has written, without when and how fast: two runs must agree in it."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["claims", "measured"]


def measured(folder: Path) -> list[dict]:
    """All that was measured."""
    found = []
    for line in (folder / "records.jsonl").read_text("utf-8").splitlines():
        record = json.loads(line)
        del record["provenance"]
        for made in record.get("repairs", {}).values():
            if isinstance(made, dict):
                made.pop("seconds", None)
        found.append(record)
    return found


def claims(folder: Path) -> str:
    """The page from its claims on, up to the time it was made at."""
    text = (folder / "README.md").read_text("utf-8")
    return text[text.index("### The paper's claims") : text.index("### Provenance")]
