"""Squared errors drawn together, against simulation of what they are to estimate."""

from __future__ import annotations

import math

import pytest
import torch

from varshift.errors import UsageError
from varshift.theory.moderation import inverse_trigamma, moderated, pooled_freedom, trigamma


def chi_squares(freedom, size, seed=0):
    """Variances of (freedom + 1) normal values each, of a truth of 1."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(freedom + 1, size, generator=generator, dtype=torch.float64)
    return values.var(0)


def test_figures_alike_are_pooled():
    found, freedom = moderated(chi_squares(15, 400), 15)
    # The scatter of ln s² is known to 7 %, so d₀ is 15/0.07 or more, or nothing is left of it.
    assert float(found.std()) < 0.1 < float(chi_squares(15, 400).std())
    assert freedom > 150


def test_figures_that_differ_keep_their_own():
    truth = torch.logspace(-4, 4, 400, dtype=torch.float64)
    squares = truth * chi_squares(15, 400)
    found, freedom = moderated(squares, 15)
    assert float((found / squares).log().abs().max()) < 0.5  # a mean of s² itself: 12
    assert freedom == pytest.approx(15, abs=1)


def test_errors_fall_where_it_helps():
    truth = (0.5 * torch.randn(400, generator=torch.Generator().manual_seed(1)).double()).exp()
    squares = truth * chi_squares(8, 400)
    found, _ = moderated(squares, 8)
    wrong = [float((each / truth).log().square().mean()) for each in (squares, found)]
    assert wrong[1] < 0.9 * wrong[0]


def test_one_alone_is_left_alone():
    squares = torch.tensor([2.0], dtype=torch.float64)
    assert moderated(squares, 7) == (squares, 7)
    with pytest.raises(UsageError, match="positive"):
        moderated(torch.tensor([1.0, 0.0]), 7)


def test_figures_that_vary_together_are_worth_one():
    generator = torch.Generator().manual_seed(0)
    one = torch.randn(16, 1, generator=generator, dtype=torch.float64)
    many = torch.randn(16, 1000, generator=generator, dtype=torch.float64)
    assert pooled_freedom(many) > 50 * pooled_freedom(one)
    assert pooled_freedom(one.expand(16, 9)) == pytest.approx(pooled_freedom(one))
    squares = one.square().sum(0).expand(9)
    assert moderated(squares, 15, pooled_freedom(one))[1] < 50 < 15 * 9


@pytest.mark.parametrize("x", [1e-3, 0.5, 1.0, 7.5, 1e4])
def test_trigamma_and_its_inverse(x):
    slow = sum(1 / (x + k) ** 2 for k in range(100_000)) + 1 / (x + 100_000 - 0.5)
    assert trigamma(x) == pytest.approx(slow, rel=1e-9)
    assert inverse_trigamma(slow) == pytest.approx(x, rel=1e-7)
    assert math.isfinite(inverse_trigamma(1e-12))
