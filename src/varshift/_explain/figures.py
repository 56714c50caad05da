"""From leave-one-out rows to figures: axis 0 is everything (row 0), then without each group."""

from __future__ import annotations

import torch
from torch import Tensor

from varshift.results import Figure
from varshift.theory.jackknife import jackknife_error

__all__ = ["error_of", "figure_of", "root_mean_square"]


def error_of(rows: Tensor) -> Tensor:
    """Standard error of row 0; 0 where nothing was left out."""
    return jackknife_error(rows[1:]) if len(rows) > 1 else torch.zeros_like(rows[0])


def figure_of(rows: Tensor) -> Figure:
    """Row 0 with its standard error; the rows are single numbers."""
    return Figure(float(rows[0]), float(error_of(rows)))


def root_mean_square(rows: Tensor, square_error: Tensor, live: Tensor) -> Figure:
    """Over live channels, less what their sampling errors account for; 0 where none is live.

    `rows` is (1 + G, C), `square_error` and `live` (C,).
    """
    if not bool(live.any()):
        return Figure(0.0, 0.0)
    squares = rows.square()[:, live].mean(1) - square_error[live].mean()
    return figure_of(squares.clamp(min=0).sqrt())
