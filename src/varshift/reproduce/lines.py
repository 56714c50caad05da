"""Slopes and rank correlations of a few points."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

__all__ = ["rank_correlation", "slope"]


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Least squares slope of y over x; NaN where x does not vary.

    >>> slope([0, 1, 2], [1, 3, 5])
    2.0
    """
    if len(set(x)) < 2:
        return math.nan
    return statistics.linear_regression(x, y).slope


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's rank correlation; NaN of fewer than three points, or where one does not vary.

    >>> rank_correlation([1, 2, 3], [10, 30, 90])
    1.0
    """
    if len(x) < 3 or len(set(x)) < 2 or len(set(y)) < 2:
        return math.nan
    return statistics.correlation(_ranks(x), _ranks(y))


def _ranks(values: Sequence[float]) -> list[float]:
    """Places in rising order; equal values share the mean of theirs."""
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) - 1) / 2 for value in values]
