"""The jackknife against the error of a mean, and against leaving out by hand."""

from __future__ import annotations

import torch

from oracles.data import normal
from varshift.theory.jackknife import jackknife_error


def without_each(values, figure):
    """The figure of all groups but one, once per group."""
    groups = range(len(values))
    return torch.stack([figure(values[[i for i in groups if i != left]]) for left in groups])


def test_of_a_mean_it_is_the_usual_error():
    values = normal(12, 3, seed=0)
    error = jackknife_error(without_each(values, lambda rest: rest.mean(0)))
    torch.testing.assert_close(error, values.std(0) / 12**0.5, rtol=1e-12, atol=0)


def test_of_a_ratio_of_means_it_is_that_of_its_linear_part():
    """To first order: the error of mean(a − r·b)/mean(b)."""
    a, b = 5 + 0.01 * normal(50, 2, seed=1).T
    r = a.mean() / b.mean()
    pairs = torch.stack([a, b], dim=1)
    error = jackknife_error(without_each(pairs, lambda rest: rest[:, 0].mean() / rest[:, 1].mean()))
    linear = (a - r * b).std() / b.mean() / 50**0.5
    torch.testing.assert_close(error, linear, rtol=1e-3, atol=0)


def test_without_the_factor_it_would_be_too_small():
    values = normal(12, 3, seed=0)
    left_out = without_each(values, lambda rest: rest.mean(0))
    assert (jackknife_error(left_out) > 10 * left_out.std(0) / 12**0.5).all()


def test_two_groups_are_enough():
    # (G − 1)/G · Σ(F₍g₎ − F̄)² = 1/2 · (1 + 1)
    assert jackknife_error(torch.tensor([3.0, 5.0])).item() == 1.0


def test_one_group_has_no_error():
    assert jackknife_error(torch.ones(1, 3)).isnan().all()
