"""How many seeds are enough: against trainings that are drawn, and for parts made up by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from reproduce.records import records
from varshift.reproduce.book import Book
from varshift.reproduce.estimates import Part, estimate_over
from varshift.reproduce.experiments import judged
from varshift.reproduce.power import MOST, need_of, power_table, seeds_needed

DRAWN = 20_000
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("distance", "deviation"), [(1.0, 0.5), (0.3, 0.4), (2.0, 0.7)])
def test_so_many_seeds_decide_four_times_in_five_and_one_less_does_not(distance, deviation):
    """Student's interval of drawn seeds excludes the bound that often; 5 errors of 20,000 draws."""
    seeds = seeds_needed(distance, deviation)

    def decided(count):
        drawn = np.random.default_rng(count).normal(distance, deviation, (DRAWN, count))
        reach = stats.t.ppf(0.975, count - 1) * drawn.std(1, ddof=1) / math.sqrt(count)
        return float((drawn.mean(1) > reach).mean())

    error = 5 * math.sqrt(0.8 * 0.2 / DRAWN)
    assert decided(seeds) > 0.8 - error - 0.01  # the sum of quantiles is good to a hundredth
    assert decided(seeds - 1) < 0.8 + error


def test_too_far_a_way_is_not_planned():
    assert seeds_needed(0.01, 1.0) is None
    assert seeds_needed(1.0, 0.0) == 2
    n = seeds_needed(0.6, 1.0)
    assert n is not None
    assert n <= MOST
    assert seeds_needed(0.6, 1.0, weight=4) < n  # four networks tell more of the deviation


def test_a_need_is_counted_from_its_networks():
    networks = [(1.0, 2.0, 3.0), (5.0, 5.5, 6.0)]
    part = Part("all", estimate_over(networks), low=0, role="decides")
    need = need_of(part, networks)
    assert need.effect == pytest.approx((2 + 5.5) / 2)
    assert need.distance == need.effect
    assert need.deviation == pytest.approx(math.sqrt(1 + 0.25) / 2)
    weight = 1.25**2 / (1 + 0.0625)
    freedom = 2 * weight
    exact = math.sqrt(freedom / stats.chi2.ppf(0.2, freedom))
    assert need.planned == pytest.approx(need.deviation * exact, rel=0.02)
    assert need.seeds == seeds_needed(need.distance, need.planned, weight)


def test_an_effect_within_its_own_error_of_the_bound_is_left_open():
    networks = [(-1.0, 0.1, 1.2)]
    assert need_of(Part("all", estimate_over(networks), low=0), networks).seeds is None


def test_the_nearer_end_of_a_range_counts():
    networks = [(0.6, 0.7, 0.8)]
    part = Part("all", estimate_over(networks), low=-1, high=1)
    assert need_of(part, networks).distance == pytest.approx(0.3)


def test_one_seed_tells_no_spread():
    assert need_of(Part("all", estimate_over([(1.0,)]), low=0), [(1.0,)]) is None


def test_every_deciding_part_has_its_row():
    book = Book(records())
    rows = [tuple(map(str, row.cells)) for row in power_table(book).rows]
    parts = [(v.claim.key, p.name) for v in judged(book) for p in v.deciding]
    assert [row[:2] for row in rows] == parts


def test_the_plan_in_the_documentation_is_what_the_records_ask_for():
    """The table before the runs goes by the records that were there: it is not written by hand."""
    from varshift.reproduce import read_lines

    kept = ROOT / "docs" / "results" / "reproduction" / "records.jsonl"
    told = (ROOT / "docs" / "reproduce.md").read_text("utf-8")
    first = [one for one in read_lines(kept) if one["run"]["seed"] < 3]
    told_rows = [tuple(map(str, row.cells)) for row in power_table(Book(first)).rows]
    rows = {row[:2]: row for row in told_rows}
    assert rows["i", "PreResNet (b) 0.5 → 0.7"][-1] == "22"
    for claim, part in (("i", "PreResNet (b) 0.5 → 0.7"), ("iv", "all (b)")):
        row = rows[claim, part]
        assert f"| {row[3]} | {row[5]} | {row[6]} | {row[8]} |" in told
