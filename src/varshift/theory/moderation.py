"""Squared errors of many like figures, each made surer by what the others show."""

from __future__ import annotations

import math

from torch import Tensor

from varshift.errors import UsageError

__all__ = ["inverse_trigamma", "moderated", "pooled_freedom"]


def moderated(squares: Tensor, freedom: float, most: float = math.inf) -> tuple[Tensor, float]:
    """Squared errors s² of C figures drawn towards their mean, and their degrees of freedom.

    ln s̃² = (d₀·ln s₀² + d·ln s²)/(d₀ + d): s₀² the mean of all, d the degrees of freedom of one s²
    and d₀ those that the others are worth. ln s² of figures that are equally sure scatters by
    ψ′(d/2); what it scatters beyond is ψ′(d₀/2), so that figures which differ in truth keep their
    own. The result has d + d₀ degrees of freedom, never more than C·d or `most`. Means of ln s²
    instead of s² keep one wild figure from spoiling many sure ones. [smyth2004linear]

    Where data has heavy tails, an s² is too small unless an outlier was met: then one alone is
    wrong most of the time, and all together are right on average.

    Args:
        squares: (C,) positive.
        freedom: d, of one of them.
        most: what all together have at most; fewer than C·d where they vary together.

    Raises:
        UsageError: other than one row of positive numbers.

    >>> import torch
    >>> alike = torch.tensor([0.5, 1.0, 1.5, 1.0], dtype=torch.float64)
    >>> moderated(alike, 10)[0].tolist(), moderated(alike, 10)[1]  # as chance would have it
    ([1.0, 1.0, 1.0, 1.0], 40)
    """
    if squares.ndim != 1 or not bool((squares > 0).all()):
        raise UsageError("squares must be one row of positive squared errors; leave others out")
    size = len(squares)
    if size < 2:
        return squares, freedom
    mean = squares.mean()
    scatter = float(squares.log().var()) - trigamma(freedom / 2)
    limit = max(freedom, min(size * freedom, most))
    if scatter <= 0:
        return mean.expand(size), limit
    others = 2 * inverse_trigamma(scatter)
    found = ((others * mean.log() + freedom * squares.log()) / (others + freedom)).exp()
    return found, min(others + freedom, limit)


def pooled_freedom(terms: Tensor) -> float:
    """Degrees of freedom of the mean of C squared errors, each the sum of G squared terms (G, C).

    2(Σq)²/(G/(G − 1)·Σ(q − q̄)²) over q, the means of the squared terms: many where the C vary by
    themselves, as few as one has where they vary together. [satterthwaite1946approximate]

    >>> import torch
    >>> one = torch.tensor([[1.0], [-2.0], [0.5], [0.5]], dtype=torch.float64)
    >>> pooled_freedom(one) == pooled_freedom(one.expand(4, 50))
    True
    """
    size = len(terms)
    means = terms.square().mean(1)
    spread = (means - means.mean()).square().sum() * size / max(size - 1, 1)
    return float(2 * means.sum().square() / spread) if float(spread) > 0 else math.inf


def trigamma(x: float) -> float:
    """ψ′(x), the derivative of the digamma function, by its asymptotic series. [dlmf, 5.15]"""
    found = 0.0
    while x < 10:
        found, x = found + 1 / (x * x), x + 1
    square = 1 / (x * x)
    series = 1 / 6 - square * (1 / 30 - square * (1 / 42 - square * (1 / 30 - square * 5 / 66)))
    return found + 1 / x + square / 2 + series * square / x


def inverse_trigamma(y: float) -> float:
    """The x > 0 with ψ′(x) = y, by bisection of its logarithm.

    >>> round(inverse_trigamma(math.pi**2 / 6), 9)  # ψ′(1)
    1.0
    """
    # 1/x < ψ′(x) < 1/x + 1/x². [dlmf, 5.15]
    low, high = 1 / y, (1 + math.sqrt(1 + 4 * y)) / (2 * y)
    for _ in range(100):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if trigamma(middle) > y else (low, middle)
        if high <= low * (1 + 1e-12):
            break
    return math.sqrt(low * high)
