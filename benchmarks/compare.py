"""Two trees side by side: `python -m benchmarks.compare before.json after.json`, as Markdown.

Each file is what `python -m benchmarks ratios --json FILE` wrote.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def rows(before: dict[str, float], after: dict[str, float]) -> list[str]:
    """A Markdown row per figure that either has."""
    names = list(dict.fromkeys([*before, *after]))
    return [f"| {name} | {_figure(before, name)} | {_figure(after, name)} |" for name in names]


def _figure(figures: dict[str, float], name: str) -> str:
    return f"{figures[name]:.2f}" if name in figures else "—"


if __name__ == "__main__":
    found = [json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:3]]
    print("\n".join(["| | before | after |", "|---|---:|---:|", *rows(*found)]))
