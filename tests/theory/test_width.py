from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from oracles import masks, wrong
from oracles.data import assert_close, normal, population, prop
from varshift import theory
from varshift.errors import UsageError

means = st.floats(-3, 3)
variances = st.floats(0.05, 20)
rhos = st.floats(0, 1)
taus = st.floats(0, 20)


@pytest.mark.parametrize("rho", [-0.2, 0.0, 0.4, 1 - 1e-9])
@pytest.mark.parametrize("drop_p", [0.1, 0.5])
def test_paper_form_matches_every_mask_on_equally_correlated_inputs(rho, drop_p):
    x = masks.equally_correlated(4, mean=0.6, var=1.7, rho=rho)
    weight = normal(5, 4, seed=1, mean=0.3)

    def layer(batch):
        return batch @ weight.T

    _, test_var = population(layer(x))
    _, var = masks.noisy_moments(layer, x, masks.dropout(drop_p), "element")
    law = theory.width_ratio_of(weight, 0.6, 1.7, rho, theory.tau_of(drop_p))
    assert_close(law, test_var / var, rtol=1e-10)


def test_paper_form_is_wrong_where_correlations_differ():
    x = masks.equally_correlated(4, mean=0.6, var=1.7, rho=0.4)
    x[:, 2:] *= -1  # now half the pairs are anticorrelated, and half the means are negative
    weight = normal(5, 4, seed=1, mean=0.3)

    def layer(batch):
        return batch @ weight.T

    _, test_var = population(layer(x))
    _, var = masks.noisy_moments(layer, x, masks.dropout(0.5), "element")
    with pytest.raises(AssertionError):
        assert_close(theory.width_ratio_of(weight, 0.6, 1.7, 0.4, 1.0), test_var / var, rtol=1e-3)
    exact = theory.ratio_after(test_var, theory.linear_noise_energy(x, weight), 1.0)
    assert_close(exact, test_var / var, rtol=1e-11)


@prop
@given(means, variances, rhos, st.floats(0.05, 0.95), st.floats(0, 50))
def test_keep_p_form_of_the_paper(mean, var, rho, keep_p, d_cos2):
    assume(var + var * rho * (d_cos2 - 1) > 1e-6)
    extra = var * rho * (d_cos2 - 1)
    printed = (var + extra) / ((mean**2 + var) / keep_p - mean**2 + extra)
    law = theory.width_ratio(mean, var, rho, theory.tau_of_keep_p(keep_p), d_cos2)
    assert law == pytest.approx(printed, rel=1e-8)
    assert 0 <= law <= 1


@prop
@given(means, variances, rhos, taus, st.floats(0, 50), st.floats(0, 50))
def test_ratio_rises_with_d_cos2(mean, var, rho, tau, a, b):
    low, high = sorted((a, b))
    assume(low > 0)
    assert theory.width_ratio(mean, var, rho, tau, low) <= theory.width_ratio(
        mean, var, rho, tau, high
    ) * (1 + 1e-12)


def test_a_random_filter_gains_nothing_over_placement_a():
    one = torch.ones(1, dtype=torch.float64)
    a = theory.dropout_ratio(0.5 * one, 2 * one, 0.7)
    assert theory.width_ratio(0.5, 2.0, rho=0.3, tau=0.7, d_cos2=1.0) == pytest.approx(a.item())


@prop
@given(means, variances, rhos, st.floats(0.01, 50), st.floats(0.01, 0.99))
def test_the_largest_noise_meets_the_bound(mean, var, rho, d_cos2, bound):
    tau = theory.max_tau_for_width(mean, var, rho, d_cos2, bound)
    assert theory.width_ratio(mean, var, rho, tau, d_cos2) == pytest.approx(bound, rel=1e-10)
    drop_p = theory.max_drop_p_for_width(mean, var, rho, d_cos2, bound)
    assert drop_p == pytest.approx(theory.drop_p_of(tau), rel=1e-12)


@prop
@given(
    means,
    variances,
    rhos,
    st.floats(0.01, 5),
    st.floats(-0.05, 1.5),
    st.floats(-5, 5),
    st.floats(0.3, 0.97),
)
def test_the_smallest_width_is_what_trying_each_finds(mean, var, rho, tau, slope, intercept, bound):
    def reaches(d, margin):
        ratio = theory.width_ratio(mean, var, rho, tau, theory.d_cos2_of_width(d, slope, intercept))
        return ratio >= bound * (1 + margin)

    found = theory.min_width(mean, var, rho, tau, slope, intercept, bound)
    tried = range(1, 200)
    if found < 200:
        assert reaches(int(found), -1e-9)
    assert not any(reaches(d, 1e-9) for d in tried if d < found)


def test_little_noise_may_still_ask_for_some_width():
    # A/v must reach 0.8, with ρ = 0.5: d·cos²θ = 0.6, less than a random filter's 1.
    found = theory.min_width(
        0.0, 1.0, rho=0.5, tau=0.8 / 19, slope=0.02, intercept=1e-9, bound=0.95
    )
    assert found == 30


def test_impossible_widths_are_infinite():
    ask = theory.min_width
    assert ask(0.0, 1.0, rho=0.0, tau=1.0, slope=0.02, intercept=0.0) == math.inf
    assert ask(0.0, 1.0, rho=0.2, tau=1.0, slope=0.0, intercept=1.0) == math.inf
    assert ask(0.0, 1.0, rho=0.2, tau=1.0, slope=-0.1, intercept=3.0) == math.inf
    assert ask(0.0, 1.0, rho=0.0, tau=0.01, slope=0.0, intercept=1.0) == 1
    assert ask(0.0, 1.0, rho=0.2, tau=0.0, slope=0.0, intercept=1.0) == 1


def test_a_fit_beyond_d_is_a_wrong_rule():
    # ResNeXt's fit gives d·cos²θ = 3.6 at d = 0, more than any three weights can have.
    law = theory.min_width(0.0, 1.0, rho=1.0, tau=0.19, slope=0.0129, intercept=3.6)
    assert law == 4
    assert wrong.min_width_unclamped(3.61, 0.0129, 3.6) < law


def test_one_sharing_of_the_papers_numbers():
    # Table 1, WRN on CIFAR-10, at c = 0: how far training alone carries Δ at drop 0.5.
    ratio = theory.width_ratio(0.0, 1.0, rho=0.1, tau=1.0, d_cos2=52.736)
    assert ratio == pytest.approx((1 + 0.1 * 51.736) / (2 + 0.1 * 51.736), rel=1e-12)


def test_errors_say_what_and_what_to_do():
    with pytest.raises(UsageError, match="negative output variance"):
        theory.width_ratio(0.0, 1.0, rho=-0.5, tau=1.0, d_cos2=8.0)
    with pytest.raises(UsageError, match="rho is 2; pass a number from -1 to 1"):
        theory.width_ratio(0.0, 1.0, rho=2, tau=1.0, d_cos2=1.0)
    with pytest.raises(UsageError, match="var is 0"):
        theory.width_ratio(0.0, 0.0, rho=0.5, tau=1.0, d_cos2=1.0)
    with pytest.raises(UsageError, match="mean is nan"):
        theory.width_ratio(math.nan, 1.0, rho=0.5, tau=1.0, d_cos2=1.0)
    with pytest.raises(UsageError, match=r"equally correlated only up to d = 3; pass rho from 0"):
        theory.min_width(0.0, 1.0, rho=-0.5, tau=1.0, slope=0.02, intercept=0.0)
    with pytest.raises(UsageError, match="bound is 0"):
        theory.max_tau_for_width(0.0, 1.0, 0.5, 1.0, bound=0)
