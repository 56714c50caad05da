"""From a number to a place on the paper."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from varshift._draw.pictures.svg.scales import linear, log


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([1.0, 100.0], [1, 3, 10, 30, 100]),
        ([0.3, 1.0], [0.4, 0.6, 0.8, 1.0]),
        ([1.0, 1.0], None),
        ([], None),
        ([1e-30, 1e30], None),
    ],
)
def test_a_log_scale_has_round_numbers_within_it(values, ticks):
    scale = log(values, 0, 100)
    found = scale.ticks()
    assert 2 <= len(found) <= 8
    assert all(scale.low <= tick <= scale.high for tick in found)
    assert all(scale(a) < scale(b) for a, b in pairwise(found))
    assert ticks is None or found == pytest.approx(ticks)


def test_equal_factors_are_equal_steps():
    scale = log([0.01, 100.0], 0.0, 100.0)
    assert scale(1.0) - scale(0.1) == pytest.approx(scale(10.0) - scale(1.0))
    assert scale(1.0) == pytest.approx(50)


def test_a_linear_scale_keeps_proportions_and_turns_over():
    up = linear([-1.0, 3.0], 200.0, 0.0)
    assert up(-1.0) > up(0.0) > up(3.0)
    assert up(1.0) == pytest.approx(100)
    assert (up(0.0) - up(1.0)) == pytest.approx(up(1.0) - up(2.0))


def test_what_has_no_place_is_nan_and_one_value_is_in_the_middle():
    for value in (0.0, -1.0, math.nan, math.inf):
        assert math.isnan(log([1.0, 10.0], 0, 1)(value))
    assert math.isnan(linear([0.0, 1.0], 0, 1)(math.nan))
    assert linear([2.0, 2.0], 0, 10)(2.0) == pytest.approx(5)
    assert linear([], 0, 10)(0.5) == pytest.approx(5)
