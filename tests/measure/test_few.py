"""Channels that are off where the median is not: how many, how far, and in which words."""

from __future__ import annotations

import math

import pytest
import torch

from varshift._measure.few import Few, few_of, in_words


def ratios(off, channels, ratio=0.5):
    return torch.tensor([ratio] * off + [1.0] * (channels - off), dtype=torch.float64)


@pytest.mark.parametrize(
    ("off", "found"),
    [(0, False), (1, False), (2, True), (10, True), (11, False)],  # of 20: a tenth to one half
)
def test_from_a_tenth_to_one_half_of_the_channels(off, found):
    few = few_of(ratios(off, 20), torch.full((20,), 1e-3, dtype=torch.float64))
    assert few == (Few(off, 20, 2.0) if found else None)


@pytest.mark.parametrize("ratio", [0.5, 2.0])
def test_as_far_off_below_as_above(ratio):
    assert few_of(ratios(6, 20, ratio), torch.zeros(20)) == Few(6, 20, 2.0)


def test_the_severity_is_that_of_the_median_channel_that_is_off():
    ratio = ratios(3, 10)
    ratio[0], ratio[1] = 0.25, 3.0
    assert few_of(ratio, torch.zeros(10)) == Few(3, 10, 3.0)


@pytest.mark.parametrize("error", [0.3, math.inf, math.nan])
def test_what_may_be_by_chance_is_not_off(error):
    assert few_of(ratios(6, 20), torch.full((20,), error, dtype=torch.float64)) is None


def test_two_errors_leave_a_tenth():
    """0.8 ± 2 × 0.03 is 1 / 0.86 off at least; 0.8 ± 2 × 0.06 may be 0.92, which is no tenth."""
    found = [
        few_of(ratios(8, 16, 0.8), torch.full((16,), error, dtype=torch.float64))
        for error in (0.03, 0.06)
    ]
    assert found == [Few(8, 16, pytest.approx(1.25)), None]


def test_dead_channels_are_not_counted():
    ratio, error = ratios(6, 20), torch.zeros(20)
    ratio[-4:], error[-4:] = math.nan, math.nan
    assert few_of(ratio, error) == Few(6, 16, 2.0)


def test_little_in_few_channels_is_no_finding():
    """Two of 20 at 1.2: over all channels together not a tenth."""
    assert few_of(ratios(2, 20, 1.2), torch.zeros(20)) is None


def test_the_three_that_have_most_are_named_and_the_others_counted():
    few = {name: Few(count, 20, 1.5) for name, count in zip("abcde", (2, 9, 4, 8, 3), strict=True)}
    said = in_words(few, "the stored variance")
    assert [sentence.partition(" are off")[0] for sentence in said] == [
        "b: 9 of 20 channels",
        "d: 8 of 20 channels",
        "c: 4 of 20 channels",
        "2 norms more have such channels",
    ]
    assert "off in the stored variance by severity 1.50" in said[0]
    assert in_words({"a": Few(1, 8, 2.0)}, "the mean")[0].startswith("a: 1 of 8 channels is off")
    assert len(in_words({name: few[name] for name in "abc"}, "the mean")) == 3
