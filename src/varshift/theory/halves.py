"""Errors of figures that are not smooth, such as medians: from their values on halves of the data.

Leaving out one group moves a median too little to show how it varies; leaving out half of them
moves it about as far as it is off. What is here is numbers: which halves to take, what they say of
a figure, and how far a figure must reach that is biased.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from varshift.theory.paired import student_quantile

__all__ = ["NORMAL", "balanced_halves", "group_terms", "reach", "student_factor", "tail_freedom"]

NORMAL = 1.959963984540054  # P(|Z| ≤ NORMAL) = 0.95

_SQUARE = NORMAL**2
_EXPANSION = (
    (_SQUARE + 1) / 4,
    (5 * _SQUARE**2 + 16 * _SQUARE + 3) / 96,
    (3 * _SQUARE**3 + 19 * _SQUARE**2 + 17 * _SQUARE - 15) / 384,
    (79 * _SQUARE**4 + 776 * _SQUARE**3 + 1482 * _SQUARE**2 - 1920 * _SQUARE - 945) / 92160,
)


def balanced_halves(groups: int) -> Tensor:
    """Which of G groups are taken, `(R, G)` bool: rows of a Hadamard matrix, then their opposites.

    Every two groups are taken together in half of the rows in which one of them is, so that of
    anything linear the halves give the same error as all halves there are (exactly so if G is a
    power of two). Between G and 2G rows twice. [mccarthy1969pseudo]

    >>> balanced_halves(4).int()[:3].tolist()  # and the opposites of these
    [[1, 0, 1, 0], [1, 1, 0, 0], [1, 0, 0, 1]]
    """
    return _halves(groups).clone()


@cache
def _halves(groups: int) -> Tensor:
    signs = torch.ones(1, 1, dtype=torch.bool, device="cpu")
    while len(signs) < groups:
        signs = torch.cat([torch.cat([signs, signs], 1), torch.cat([signs, ~signs], 1)])
    rows = signs[1:, :groups]
    return torch.cat([rows, ~rows])


def group_terms(deviations: Tensor, groups: int) -> Tensor:
    """What each of G groups adds to the error of a figure, `(R, …)` -> `(G, …)`.

    `deviations` of the halves of `balanced_halves`, half without group minus whole. The deviation
    of a half is the sum of its groups' terms less that of the others', to first order.

    >>> halves = balanced_halves(4)
    >>> terms = torch.tensor([1.0, -3.0, 0.5, 1.5])
    >>> deviations = torch.where(halves, terms, -terms).sum(1)
    >>> group_terms(deviations, 4).tolist()
    [1.0, -3.0, 0.5, 1.5]
    """
    rows = len(deviations) // 2
    odd = (deviations[:rows] - deviations[rows:]) / 2
    signs = torch.where(_halves(rows + 1)[:rows], 1.0, -1.0).to(deviations.dtype)
    return torch.einsum("rg,r...->g...", signs[:, :groups], odd) / (rows + 1)


def tail_freedom(terms: Tensor, most: float) -> float:
    """Degrees of freedom of an error made of such terms, at most `most`.

    `terms` is (G,), or (G, …) of figures that are alike. The variance of a sum of squares of G
    terms of kurtosis κ is that of 2G/(κ − 1) normal ones: heavy tails leave few. κ is estimated
    without bias for normal terms, from 4 groups on, and averaged over figures.
    [box1953nonnormality]

    >>> tail_freedom(torch.tensor([1.0, -1.0] * 8), most=15)
    15
    >>> tail_freedom(torch.tensor([8.0] + [0.0] * 15), most=15) < 2
    True
    """
    size = len(terms)
    squares = terms.flatten(1) if terms.ndim > 1 else terms[:, None]
    squares = squares[:, (squares != 0).any(0)].square()
    if size < 4 or not squares.shape[1]:
        return most
    kurtosis = size * squares.square().sum(0) / squares.sum(0).square()
    scale = (size - 1) / ((size - 2) * (size - 3))
    excess = scale * ((size + 1) * (float(kurtosis.mean()) - 3) + 6)
    return max(1.0, min(2 * size / max(2 + excess, 0.1), most))


def student_factor(freedom: float) -> float:
    """By how much an error of so many degrees of freedom must grow to be used as a normal one.

    t/z of the quantiles at 95 %: from 4 on by the expansion in 1/ν, to 4 parts in 10,000
    (exact is slow, and this is asked at every norm). [abramowitz1964handbook, 26.7.5]

    >>> round(student_factor(15), 3), round(student_factor(math.inf), 3)
    (1.087, 1.0)
    """
    if freedom < 4:
        return student_quantile(0.95, freedom) / NORMAL
    return 1 + sum(term / freedom**power for power, term in enumerate(_EXPANSION, 1))


def reach(bias: float, error: float) -> float:
    """The r with P(|bias + error·Z| ≤ r) = 0.95: how far a biased figure may be off.

    >>> round(reach(0.0, 1.0), 3), round(reach(3.0, 1.0), 3), reach(0.5, 0.0)
    (1.96, 4.645, 0.5)
    """
    if not (math.isfinite(bias) and error > 0):
        return abs(bias)
    far = abs(bias) / error
    low, high = NORMAL, far + NORMAL
    for _ in range(60):
        middle = (low + high) / 2
        held = math.erf((middle - far) / math.sqrt(2)) + math.erf((middle + far) / math.sqrt(2))
        low, high = (low, middle) if held >= 2 * 0.95 else (middle, high)
    return high * error
