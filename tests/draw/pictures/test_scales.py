"""Numbers along an axis are round, and places keep the order of what they stand for."""

from __future__ import annotations

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
def test_a_scale_has_round_numbers_within_it(values, ticks):
    scale = log(values, 0, 100)
    found = scale.ticks()
    assert 2 <= len(found) <= 8
    assert all(scale.low <= tick <= scale.high for tick in found)
    assert ticks is None or found == pytest.approx(ticks)


def test_scales_keep_order_and_ends():
    up = linear([-1.0, 3.0], 200.0, 0.0)
    assert up(-1.0) > up(0.0) > up(3.0)
    assert 0 <= up(3.0) < up(-1.0) <= 200
    assert up(float("nan")) != up(float("nan"))
    assert log([1.0, 10.0], 0, 1)(0.0) != log([1.0, 10.0], 0, 1)(0.0)
    assert linear([2.0, 2.0], 0, 10)(2.0) == pytest.approx(5)
