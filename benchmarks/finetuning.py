"""One more epoch after `relocate`, against the same epoch without it, on trained networks.

The three networks with Dropout-(a) of benchmarks/shifted.py, a tenth of their highest learning
rate; figures are of the 10,000 test images.
"""

from __future__ import annotations

import copy
import statistics
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from torch import nn

import varshift as vs
from benchmarks.lines import Line
from benchmarks.repairs import CALIBRATION, scored
from benchmarks.shifted import BATCH, RATE, SEEDS, split, trained_net
from varshift._cli.demo.train import train

KIND = "(a) 0.5"


def run(console: Console, only: str = "") -> Iterable[Line]:
    """One row per way to go on."""
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in SEEDS:
        for name, net in _ways(seed).items():
            rows.setdefault(name, []).append(scored(net))
    table = Table(title=f"{KIND}: mean of {len(SEEDS)} seeds (each)")
    for heading in ("", "log loss", "accuracy"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, held in rows.items():
        losses, right = ([row[key] for row in held] for key in ("loss", "accuracy"))
        table.add_row(
            name,
            f"{statistics.mean(losses):.3f} ({', '.join(f'{x:.3f}' for x in losses)})",
            f"{statistics.mean(right):.2%} ({', '.join(f'{x:.2%}' for x in right)})",
        )
    console.print(table)
    return ()


def _ways(seed: int) -> dict[str, nn.Module]:
    images, net = split().train, trained_net(KIND, seed)
    same, moved, little, best = (copy.deepcopy(net) for _ in range(4))
    vs.relocate(moved, images[:4])
    vs.recalibrate(moved, images[:CALIBRATION].split(BATCH))
    unturned = copy.deepcopy(moved)
    vs.replace(little, images[:4], 0.1)
    vs.recalibrate(little, images[:CALIBRATION].split(BATCH))
    for tuned in (same, moved, little):
        _one_epoch(tuned, seed)
    vs.repair(best, images[: 2 * CALIBRATION].split(BATCH), method="distill")
    return {
        "as trained": net,
        "repair, no training": best,
        "one epoch as it was": same,
        "relocate, recalibrate": unturned,
        "relocate, recalibrate, one epoch": moved,
        "replace by drop 0.1, recalibrate, one epoch": little,
    }


def _one_epoch(net: nn.Module, seed: int) -> None:
    data = split()
    train(
        *(net, data.train, data.train_labels),
        **{"epochs": 1, "batch_size": BATCH, "rate": RATE / 10, "seed": 100 + seed},
        step_done=lambda: None,
    )
