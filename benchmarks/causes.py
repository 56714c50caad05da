"""Planted causes: how often `explain` finds the right one, over twenty seeds of each."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

import varshift as vs

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

SEEDS = 20


def run(console: Console) -> None:
    """One row per planted cause: the verdicts, and the smallest margin over any other cause."""
    from problems.causes import CAUSES, planted

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the networks are small
    table = Table(title=f"verdicts on planted causes, {SEEDS} seeds each")
    for heading in ("planted", "right", "verdicts", "its score, least", "any other's, most"):
        table.add_column(heading, justify="left" if heading in ("planted", "verdicts") else "right")
    wrong = 0
    for cause in CAUSES:
        verdicts: Counter[str] = Counter()
        own, others = [], []
        for seed in range(SEEDS):
            net, train, test = planted(cause, seed)
            x = vs.explain(net, train, test_data=test, max_samples=1020)
            verdicts[x.verdict] += 1
            own.append(x.scores.get(cause, 0.0))  # type: ignore[call-overload]
            others.append(max(score for name, score in x.scores.items() if name != cause))
        wrong += SEEDS - verdicts[cause]
        said = ", ".join(f"{name} {count}" for name, count in verdicts.most_common())
        least = "—" if cause == "none" else f"{min(own):.3f}"
        table.add_row(cause, f"{verdicts[cause]}/{SEEDS}", said, least, f"{max(others):.3f}")
    console.print(table)
    console.print(
        f"errors: {wrong} of {len(CAUSES) * SEEDS}. Scores are displacements in deviations, two "
        "standard errors taken off; a verdict needs 0.1\n"
    )
    torch.set_num_threads(threads)
