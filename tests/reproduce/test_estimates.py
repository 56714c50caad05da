"""Student's interval against scipy, and what an interval says about a bound."""

from __future__ import annotations

import math
import statistics

import pytest
from scipy import stats

from varshift.reproduce.estimates import LEVEL, Estimate, Part, estimate, estimate_over
from varshift.reproduce.lines import rank_correlation, slope
from varshift.reproduce.tables import interval, number, spread

SAMPLES = [
    [1.0, 2.0],
    [0.5, -1.0, 3.25],
    [1e6 + 1, 1e6 + 2, 1e6 + 4],
    [0.1 * k * k for k in range(40)],
]


@pytest.mark.parametrize("values", SAMPLES)
def test_the_interval_is_students(values):
    found = estimate(values)
    low, high = stats.t.interval(
        LEVEL, len(values) - 1, loc=sum(values) / len(values), scale=stats.sem(values)
    )
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)
    assert found.mean == pytest.approx(sum(values) / len(values), rel=1e-12)
    assert found.values == tuple(values)


def test_equal_figures_have_no_width():
    assert estimate([0.75, 0.75]) == Estimate(0.75, 0.75, 0.75, (0.75, 0.75))


def test_one_figure_has_no_interval_and_none_has_no_mean():
    one, none = estimate([3.0]), estimate([])
    assert one.mean == 3.0
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    assert math.isnan(none.mean)
    assert none.values == ()


def test_figures_that_are_none_are_left_out():
    assert estimate([1.0, math.nan, 2.0, math.inf]) == estimate([1.0, 2.0])
    assert estimate([math.nan]).values == ()


@pytest.mark.parametrize(
    ("low", "high", "bounds", "word"),
    [
        (1, 2, {"low": 0}, "holds"),
        (-2, -1, {"low": 0}, "does not hold"),
        (-1, 1, {"low": 0}, "not decided"),
        (0, 1, {"low": 0}, "not decided"),  # an interval that touches its bound says nothing
        (-1, 0, {"low": 0}, "not decided"),
        (-2, -1, {"high": 0}, "holds"),
        (1, 2, {"high": 0}, "does not hold"),
        (-1, 1, {"high": 0}, "not decided"),
        (-0.5, 0.5, {"low": -1, "high": 1}, "holds"),
        (-2, 0.5, {"low": -1, "high": 1}, "not decided"),
        (-2, 2, {"low": -1, "high": 1}, "not decided"),
        (2, 3, {"low": -1, "high": 1}, "does not hold"),
        (-3, -2, {"low": -1, "high": 1}, "does not hold"),
        (-9, 9, {}, "holds"),
        (math.nan, math.nan, {"low": 0}, "not decided"),
        (math.nan, math.nan, {}, "not decided"),
    ],
)
def test_words(low, high, bounds, word):
    assert Part("all", Estimate((low + high) / 2, low, high, (low, high)), **bounds).word == word


def test_spread_is_the_deviation_and_interval_the_interval():
    found = estimate([1.0, 2.0, 6.0])
    deviation = math.sqrt(((1 - 3) ** 2 + (2 - 3) ** 2 + (6 - 3) ** 2) / 2)
    assert spread(found.values, 3) == f"3.000 ± {deviation:.3f}"
    assert interval(found, 1) == f"3.0 [{found.low:.1f}, {found.high:.1f}]"
    assert spread([1.25], 1) == interval(estimate([1.25]), 1) == "1.2"
    assert spread([]) == interval(estimate([])) == number(math.nan) == "–"
    assert number(math.inf) == "–"


X = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]
Y = [2.0, 7.0, 1.0, 8.0, 2.0, 8.0, 1.0, 8.0]


def test_slope_and_rank_correlation_are_the_textbooks():
    assert slope(X, Y) == pytest.approx(stats.linregress(X, Y).slope, rel=1e-12)
    assert rank_correlation(X, Y) == pytest.approx(stats.spearmanr(X, Y).statistic, rel=1e-12)
    assert rank_correlation(X, [math.exp(x) for x in X]) == pytest.approx(1, rel=1e-12)
    assert rank_correlation(X, [-(x**3) for x in X]) == pytest.approx(-1, rel=1e-12)


def test_lines_that_cannot_be_laid_are_nan():
    assert math.isnan(slope([1, 1], [2, 3]))
    assert math.isnan(slope([], []))
    assert math.isnan(rank_correlation([1, 2], [1, 2]))
    assert math.isnan(rank_correlation([1, 1, 1], [1, 2, 3]))
    assert math.isnan(rank_correlation([1, 2, 3], [1, 1, 1]))


def test_the_mean_over_networks_has_the_interval_of_their_seeds():
    """Welch: two networks of equal n and s have the interval of the difference of their means."""
    one, two = [1.0, 2.5, 3.0], [8.0, 6.0, 7.5]
    found = estimate_over([one, two])
    shares = [statistics.variance(seeds) / 3 for seeds in (one, two)]
    freedom = sum(shares) ** 2 / sum(share**2 / 2 for share in shares)
    reach = stats.t.ppf(0.975, freedom) * sum(shares) ** 0.5 / 2
    assert found.mean == pytest.approx(4.666666666666667, rel=1e-12)
    assert found.high - found.mean == pytest.approx(reach, rel=1e-9)
    # What differs between networks is no error: moved apart, they keep their interval.
    apart = estimate_over([one, [value + 100 for value in two]])
    assert apart.high - apart.low == pytest.approx(found.high - found.low, rel=1e-9)


def test_one_seed_of_a_network_gives_no_interval():
    assert math.isnan(estimate_over([[1.0, 2.0], [3.0]]).low)
    assert estimate_over([[1.0, 1.0], [3.0, 3.0]]).low == 2.0


def test_a_part_tells_whether_every_seed_is_outside():
    assert Part("", estimate([-1.0, -2.0]), low=0).outside
    assert not Part("", estimate([-1.0, 2.0]), low=0).outside
    assert not Part("", estimate([-1.0]), low=0).outside
    assert Part("", estimate([1.0, 2.0]), low=0).inside
