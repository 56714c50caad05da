"""From leave-one-out rows to figures: axis 0 is everything (row 0), then without each group."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from varshift._engine import GROUPS
from varshift.results import Figure
from varshift.theory.halves import student_factor, tail_freedom
from varshift.theory.jackknife import jackknife_error

__all__ = ["error_of", "figure_of", "root_mean_square", "square_error_of"]


def error_of(rows: Tensor) -> Tensor:
    """Standard error of row 0; 0 where nothing was left out.

    That of fewer groups than usual is less sure, and grows so that two of it hold as much.
    """
    if len(rows) < 2:
        return torch.zeros_like(rows[0])
    freedom = max(1, len(rows) - 2)
    fewer = student_factor(freedom) / student_factor(GROUPS - 1)
    return jackknife_error(rows[1:]) * max(1.0, fewer)


def square_error_of(rows: Tensor) -> Tensor:
    """What sampling adds on average to the squares of row 0, (C,) of (1 + G, C).

    So few groups show less of a heavy tail than there is: the error that they show counts more, by
    as much as one of so few degrees of freedom must to be used like the others.
    """
    if len(rows) < 2:
        return torch.zeros_like(rows[0])
    left_out = rows[1:]
    terms = left_out - left_out.mean(0)
    terms = terms[:, terms.isfinite().all(0)]
    usual = max(1, len(terms) - 1)
    tails = student_factor(tail_freedom(terms, usual)) / student_factor(usual)
    return (jackknife_error(left_out) * tails).square()


def figure_of(rows: Tensor, apart: Tensor | None = None) -> Figure:
    """Row 0 with its standard error; the rows are single numbers.

    `apart`: the same with rows of other samples, whose error adds.
    """
    error = float(error_of(rows))
    return Figure(float(rows[0]), error if apart is None else math.hypot(error, error_of(apart)))


def root_mean_square(
    rows: Tensor, square_error: Tensor, live: Tensor, apart: Tensor | None = None
) -> Figure:
    """Over live channels, less what their sampling errors account for; 0 where none is live.

    `rows` is (1 + G, C), `square_error` and `live` (C,); `apart` as in `figure_of`.
    """
    if not bool(live.any()):
        return Figure(0.0, 0.0)

    def roots(each: Tensor) -> Tensor:
        squares = each.square()[:, live].mean(1) - square_error[live].mean()
        return squares.clamp(min=0).sqrt()

    return figure_of(roots(rows), None if apart is None else roots(apart))
