"""The paired test against scipy, against all sign flips, and against how often it errs."""

from __future__ import annotations

import itertools

import pytest
import torch
from scipy import stats

from oracles.data import normal
from varshift.errors import UsageError
from varshift.theory import paired, student_quantile, student_tail


@pytest.mark.parametrize("freedom", [1, 2, 3, 10, 99, 4095, 100_000])
@pytest.mark.parametrize("t", [0.0, 1e-3, 0.5, 1.0, 2.0, 4.0, 7.0])
def test_tail_is_students(freedom, t):
    # 1 − I(…) keeps absolute, not relative, precision far out: nobody tells 1e-15 from 1e-30.
    assert student_tail(t, freedom) == pytest.approx(
        2 * stats.t.sf(t, freedom), rel=1e-9, abs=1e-14
    )
    assert student_tail(-t, freedom) == student_tail(t, freedom)


@pytest.mark.parametrize("freedom", [1, 3, 30, 4095])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_quantile_is_students(freedom, level):
    expected = stats.t.ppf((1 + level) / 2, freedom)
    assert student_quantile(level, freedom) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("samples", [2, 5, 60, 3000])
def test_against_scipy(samples):
    first, second = normal(samples, 2, seed=samples).unbind(1)
    second = first + 0.3 * second + 0.05
    ours, theirs = paired(first, second), stats.ttest_rel(second.numpy(), first.numpy())
    interval = theirs.confidence_interval(0.95)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-8, abs=1e-14)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), rel=1e-8)
    assert ours.mean == pytest.approx(float((second - first).mean()), rel=1e-12)
    assert ours.samples == samples


def test_near_the_exact_test_of_all_sign_flips():
    first = normal(14, 1, seed=3)[:, 0]
    second = first + 0.5 * normal(14, 1, seed=4)[:, 0] - 0.2
    difference = second - first
    flips = torch.tensor(list(itertools.product((1.0, -1.0), repeat=14)), dtype=torch.float64)
    means = (flips * difference).mean(1).abs()
    exact = float((means >= difference.mean().abs() - 1e-12).double().mean())
    # The t test approximates the randomisation test to some hundredths at this size.
    assert paired(first, second).p_value == pytest.approx(exact, abs=0.02)


def test_pairing_is_what_makes_it_sharp():
    first = 10 * normal(400, 1, seed=0)[:, 0]
    second = first - 0.1 + 0.5 * normal(400, 1, seed=1)[:, 0]
    assert paired(first, second).p_value < 1e-3
    assert stats.ttest_ind(second.numpy(), first.numpy()).pvalue > 0.5  # unpaired: sees nothing


def test_the_interval_holds_as_often_as_it_says():
    # n fixed: 2000 intervals of 20 Gaussian differences; 0.95 ± 5 · √(0.95 · 0.05 / 2000).
    draws = torch.randn(2000, 20, generator=torch.Generator().manual_seed(7)).double()
    held = [
        result.low <= 0 <= result.high
        for row in draws
        for result in [paired(torch.zeros(20, dtype=torch.float64), row)]
    ]
    assert sum(held) / 2000 == pytest.approx(0.95, abs=5 * (0.95 * 0.05 / 2000) ** 0.5)


def test_equal_treatments_are_no_difference_and_constant_ones_are_as_sure_as_their_number():
    x = torch.arange(5.0)
    assert paired(x, x).p_value == 1.0
    assert paired(x, x - 1).low == paired(x, x - 1).high == -1
    for samples in (2, 5, 30):
        # All sign flips: two of 2ⁿ are as far out as n equal differences.
        first = normal(samples, 1, seed=0)[:, 0]
        expected = stats.binomtest(samples, samples).pvalue
        assert paired(torch.zeros(samples), torch.ones(samples)).p_value == pytest.approx(expected)
        # Also where they are equal but for rounding.
        assert paired(first, first - 0.1).p_value == pytest.approx(expected)


def test_refusals():
    with pytest.raises(UsageError, match="at least 2 figures"):
        paired(torch.ones(1), torch.ones(1))
    with pytest.raises(UsageError, match=r"shapes \(3,\) and \(4,\)"):
        paired(torch.ones(3), torch.ones(4))
    with pytest.raises(UsageError, match="level is 1; pass a probability"):
        student_quantile(1, 5)
