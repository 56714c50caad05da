from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oracles import masks, wrong
from oracles.data import assert_close, normal, population, prop
from varshift import theory
from varshift.errors import UsageError

means = st.floats(-1e3, 1e3)
variances = st.floats(1e-6, 1e6)
taus = st.floats(0, 1e3)


def column(value):
    return torch.tensor([value], dtype=torch.float64)


def identity(x):
    return x


@pytest.mark.parametrize("drop_p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("sharing", ["element", "channel", "sample"])
def test_train_moments_match_every_mask(drop_p, sharing):
    x = normal(3, 2, 4, seed=1)
    c, v = population(x)
    mean, var = masks.noisy_moments(identity, x, masks.dropout(drop_p), sharing)
    tau = theory.tau_of(drop_p)
    assert_close(mean, c, rtol=1e-12)
    assert_close(theory.train_var(c, v, tau), var, rtol=1e-12)
    assert_close(theory.dropout_ratio(c, v, tau), v / var, rtol=1e-12)
    assert_close(theory.dropout_ratio_paper(c, v, 1 - drop_p), v / var, rtol=1e-12)
    assert_close(theory.invert_stored(mean, var, tau), v, rtol=1e-11)


@pytest.mark.parametrize(
    ("noise", "outcomes"),
    [
        (theory.gaussian(0.8), masks.gaussian(0.8)),
        (theory.uout(0.9), masks.uout(0.9)),
    ],
)
def test_other_noises_match_every_outcome(noise, outcomes):
    x = normal(3, 2, 3, seed=2)
    c, v = population(x)
    _, var = masks.noisy_moments(identity, x, outcomes, "element")
    assert_close(theory.train_var(c, v, noise.tau), var, rtol=1e-12)


def test_equal_tau_shifts_equally_whatever_the_shape_of_the_noise():
    x, tau = normal(3, 2, 3, seed=3), 0.2
    kinds = (
        masks.dropout(theory.drop_p_of(tau)),
        masks.gaussian(theory.sigma_of(tau)),
        masks.uout(theory.beta_of(tau)),
    )
    bernoulli, gaussian, uout = (
        masks.noisy_moments(identity, x, kind, "element")[1] for kind in kinds
    )
    assert_close(gaussian, bernoulli, rtol=1e-12)
    assert_close(uout, bernoulli, rtol=1e-12)


@pytest.mark.parametrize("rule", [wrong.ratio_without_mean, wrong.ratio_with_p_swapped])
def test_wrong_rules_fail_the_masks(rule):
    x, drop_p = normal(3, 2, 4, seed=1), 0.3
    c, v = population(x)
    _, var = masks.noisy_moments(identity, x, masks.dropout(drop_p), "element")
    argument = theory.tau_of(drop_p) if rule is wrong.ratio_without_mean else drop_p
    with pytest.raises(AssertionError):
        assert_close(rule(c, v, argument), v / var, rtol=1e-3)


def test_dropping_the_mean_costs_19_percent_after_a_relu():
    c, v = theory.gaussian_moments(torch.relu, column(0.0), column(1.0))
    right = theory.train_var(c, v, 1.0)
    without = v / wrong.ratio_without_mean(c, v, 1.0)
    assert (without / right - 1).item() == pytest.approx(-0.19, abs=0.005)


def test_the_unbiased_batch_variance_takes_on_tau_exactly():
    # E over masks of what a batch stores: unbiased variance plus τE[x²], for independent masks.
    x, drop_p = normal(4, 2, seed=4), 0.4
    stored = masks.expected_batch_variance(identity, x, masks.dropout(drop_p), "element")
    expected = x.var(0, correction=1) + theory.tau_of(drop_p) * x.square().mean(0)
    assert_close(stored, expected, rtol=1e-12)


def test_the_uout_number_of_the_paper_and_of_the_seed():
    zero, one = column(0.0), column(1.0)
    assert_close(theory.uout_ratio(zero, one, 0.1), column(300 / 301), rtol=1e-15)
    assert_close(theory.uout_ratio(zero, one, 0.01), column(30000 / 30001), rtol=1e-15)
    with pytest.raises(AssertionError):
        assert_close(
            theory.uout_ratio(zero, one, 0.01), column(wrong.uout_ratio_of_the_seed()), rtol=1e-4
        )


@prop
@given(means, variances, taus, taus)
def test_ratio_is_at_most_one_and_falls_with_tau(mean, var, a, b):
    low, high = sorted((a, b))
    quiet = theory.dropout_ratio(column(mean), column(var), low)
    loud = theory.dropout_ratio(column(mean), column(var), high)
    assert 0 < loud.item() <= quiet.item() <= 1


@prop
@given(means, variances, taus)
def test_inversion_undoes_training(mean, var, tau):
    c, v = column(mean), column(var)
    stored = theory.train_var(c, v, tau)
    # V − τc² cancels: its rounding is ε·V, which may be far above v.
    atol = 1e-14 * stored.item() / (1 + tau)
    assert_close(theory.invert_stored(c, stored, tau), v, rtol=1e-12, atol=atol)


@prop
@given(means, variances, st.floats(0.01, 0.99))
def test_the_largest_noise_meets_the_bound_exactly(mean, var, bound):
    c, v = column(mean), column(var)
    tau = theory.max_tau(c, v, bound).item()
    assert theory.dropout_ratio(c, v, tau).item() == pytest.approx(bound, rel=1e-10)
    assert theory.max_drop_p(c, v, bound).item() == pytest.approx(theory.drop_p_of(tau), rel=1e-10)


@prop
@given(st.floats(1e-6, 1e6))
def test_severity_does_not_see_the_direction(ratio):
    assert_close(theory.severity(column(ratio)), theory.severity(1 / column(ratio)), rtol=1e-12)
    assert theory.severity(column(ratio)).item() >= 1


def test_inversion_leaves_the_impossible_negative():
    assert theory.invert_stored(column(3.0), column(1.0), 1.0).item() < 0


def test_laws_keep_the_dtype_and_pass_nan():
    c = torch.tensor([1.0, float("nan")], dtype=torch.float32)
    v = torch.ones(2, dtype=torch.float32)
    ratio = theory.dropout_ratio(c, v, 1.0)
    assert ratio.dtype == torch.float32
    assert ratio.isnan().tolist() == [False, True]


def test_dead_channel_has_no_ratio():
    assert theory.dropout_ratio(column(0.0), column(0.0), 1.0).isnan().item()


def test_errors_say_what_and_what_to_do():
    c, v = torch.zeros(2), torch.ones(2)
    with pytest.raises(UsageError, match=r"shapes differ: mean \(3,\), var \(2,\)"):
        theory.train_var(torch.zeros(3), v, 1.0)
    with pytest.raises(UsageError, match="var has 2 negative entries"):
        theory.train_var(c, -v, 1.0)
    with pytest.raises(UsageError, match="tau is -1"):
        theory.dropout_ratio(c, v, -1.0)
    with pytest.raises(UsageError, match="keep_p is 0"):
        theory.dropout_ratio_paper(c, v, 0.0)
    with pytest.raises(UsageError, match="stored_var has 2 negative"):
        theory.invert_stored(c, -v, 1.0)
    with pytest.raises(UsageError, match="bound is 1"):
        theory.max_tau(c, v, 1.0)
    with pytest.raises(UsageError, match="ratio has negative entries"):
        theory.severity(-v)
