"""The pattern over channels: what each norm stores beyond what it meets, on what noise adds."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

from benchmarks.shipped.judging import Row

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def draw(rows: list[Row], path: Path) -> None:
    """One square for each norm with dropout before it: a dot for each channel.

    The data tell no level, so both lines go through the middle of the dots: one with the slope that
    was read, one with the slope τ of the truth.
    """
    figure, squares = plt.subplots(1, len(rows), figsize=(2.6 * len(rows), 2.9), squeeze=False)
    for square, row in zip(squares[0], rows, strict=True):
        lever, excess = np.array(row.lever), np.array(row.excess)
        span = np.quantile(lever, (0.0, 1.0))
        square.scatter(lever, excess, s=7, alpha=0.5, linewidths=0)
        slopes = ((row.tau, "C1", "-", "read"), (tau_of(row.true), "0.4", "--", "true"))
        for slope, colour, style, label in slopes:
            level = np.median(excess - slope * lever)
            square.plot(span, level + slope * span, style, color=colour, label=label)
        low, high = np.quantile(excess, (0.01, 0.99))
        square.set_ylim(low - 0.05, high + 0.05)
        square.set_title(row.norm, fontsize=8)
        square.set_xlabel(f"N/v at {row.place}", fontsize=8)
        square.tick_params(labelsize=7)
    squares[0][0].set_ylabel("stored ÷ noise-free − 1", fontsize=8)
    squares[0][-1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def tau_of(drop_p: float) -> float:
    """Relative variance of the noise."""
    return drop_p / (1 - drop_p)
