"""Medians and quantiles over channels, some of them unknown, against numpy's and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from oracles.data import normal
from varshift.theory.spread import QUANTILES, median, medians, middle, quantiles

NAN = math.nan


def test_the_median_is_that_of_what_is_known():
    values = normal(9, seed=0)
    assert median(values) == pytest.approx(np.median(values.numpy()), rel=1e-12)
    assert median(torch.cat([values, torch.tensor([NAN]).double()])) == median(values)
    assert median(torch.tensor([1.0, 2.0])) == 1.5
    assert median(torch.tensor([1, 5, 7])) == 5
    assert math.isnan(median(torch.tensor([NAN])))
    assert math.isnan(median(torch.tensor([])))


def test_the_median_of_more_than_half_without_bound_has_none():
    inf = math.inf
    assert median(torch.tensor([1.0, 2.0, inf])) == 2
    assert median(torch.tensor([1.0, inf, NAN, inf])) == inf
    assert median(torch.tensor([1.0, 1.0, inf, inf])) == inf
    assert median(torch.tensor([-inf, -inf, 3.0])) == -inf


def test_medians_are_those_of_the_rows():
    values = normal(5, 3, 8, seed=3)
    values[0, 0, :5], values[1, 1, 2], values[2, 2] = math.inf, NAN, NAN
    found = medians(values)
    rows = [[median(row) for row in rows] for rows in values]
    torch.testing.assert_close(found, torch.tensor(rows).double(), equal_nan=True)
    assert medians(torch.ones(2, 0)).isnan().all()
    assert medians(torch.ones(2, 0)).shape == (2,)


def test_the_median_of_live_channels_alone():
    values, live = torch.tensor([1.0, 100.0, 3.0]), torch.tensor([True, False, True])
    assert median(values, live) == 2
    assert math.isnan(median(values, torch.zeros(3, dtype=torch.bool)))


def test_quantiles_are_those_of_what_can_be_drawn():
    values = normal(40, seed=1).exp()
    expected = tuple(np.quantile(values.numpy(), QUANTILES))
    assert quantiles(values) == pytest.approx(expected, rel=1e-12)
    beside = torch.tensor([NAN, math.inf, 0.0, -1.0]).double()  # no logarithm, no place
    assert quantiles(torch.cat([values, beside]).reshape(4, 11)) == quantiles(values)
    assert all(map(math.isnan, quantiles(beside)))
    assert len(quantiles(beside)) == len(QUANTILES)
    assert quantiles(torch.tensor([7])) == (7.0,) * len(QUANTILES)


def test_the_middle_is_the_lower_of_two():
    assert middle(torch.tensor([4.0, 1.0, 3.0])) == 2
    assert middle(torch.tensor([4.0, 1.0, 3.0, 2.0])) == 3
    assert middle(torch.tensor([NAN, 4.0, math.inf, 1.0])) == 3
    assert middle(torch.tensor([5.0])) == 0
    assert middle(torch.tensor([NAN])) is None
