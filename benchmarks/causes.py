"""Planted causes of a gap between training and test: how often `explain` finds the right one.

Five small networks, each with one cause. Scores are displacements in deviations with two standard
errors taken off; a verdict needs 0.1. These are clear cases: causes of about the threshold's size
are told apart less surely.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

import varshift as vs
from benchmarks.lines import Line, aimed, asked

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

TITLE = "Whose fault a gap is"
SEEDS = 20
SAID = {
    "noise": "dropout 0.5",
    "staleness": "momentum 0.002 over 160 steps",
    "data": "test inputs shifted by half a deviation, 1.4 × as wide",
    "none": "nothing",
    "small-batch": "batches of 3",
}


def run(console: Console, only: str = "") -> Iterator[Line]:
    """One line per planted cause: right verdicts, and the smallest margin over any other cause."""
    from problems.causes import CAUSES

    for cause in CAUSES:
        if asked(cause, only):
            yield _line(cause)


def _line(cause: str) -> Line:
    from problems.causes import planted

    verdicts: Counter[str] = Counter()
    own, others = [], []
    for seed in range(SEEDS):
        net, train, test = planted(cause, seed)
        x = vs.explain(net, train, test_data=test, max_samples=1020)
        verdicts[x.verdict] += 1
        own.append(x.scores.get(cause, 0.0))  # type: ignore[call-overload]
        others.append(max(score for name, score in x.scores.items() if name != cause))
    cells = {
        "planted": SAID[cause],
        "verdicts": ", ".join(f"{name} {count}" for name, count in verdicts.most_common()),
        "its score, least": "—" if cause == "none" else f"{min(own):.3f}",
        "any other's, most": f"{max(others):.3f}",
        "wrong": f"{SEEDS - verdicts[cause]} of {SEEDS}",
    }
    return Line("", cause, cells, **aimed(SEEDS - verdicts[cause], 0))
