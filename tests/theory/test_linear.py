from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from oracles import masks, wrong
from oracles.data import assert_close, normal, population, prop
from varshift import theory
from varshift.errors import UsageError

BIAS = torch.tensor([5.0, -2.0, 0.5], dtype=torch.float64)


def linear(weight):
    return lambda x: F.linear(x, weight, BIAS)


@pytest.mark.parametrize("drop_p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("sharing", ["element", "channel", "sample"])
def test_train_variance_matches_every_mask(drop_p, sharing):
    x, weight = normal(4, 6, seed=1), normal(3, 6, seed=2, mean=0.2)
    layer = linear(weight)
    test_mean, test_var = population(layer(x))
    mean, var = masks.noisy_moments(layer, x, masks.dropout(drop_p), sharing)
    energy = theory.linear_noise_energy(x, weight, sharing)
    tau = theory.tau_of(drop_p)
    assert_close(mean, test_mean, rtol=1e-11)
    assert_close(theory.train_var_after(test_var, energy, tau), var, rtol=1e-11)
    assert_close(theory.ratio_after(test_var, energy, tau), test_var / var, rtol=1e-11)


@pytest.mark.parametrize("sharing", ["element", "sample"])
def test_positions_are_part_of_the_population(sharing):
    x, weight = normal(3, 2, 4, seed=3), normal(3, 4, seed=4)
    layer = linear(weight)
    _, test_var = population(layer(x), channel_dim=-1)
    _, var = masks.noisy_moments(layer, x, masks.dropout(0.3), sharing, channel_dim=-1)
    energy = theory.linear_noise_energy(x, weight, sharing)
    assert_close(theory.train_var_after(test_var, energy, theory.tau_of(0.3)), var, rtol=1e-11)


def test_rows_that_share_one_factor_are_sample_sharing():
    # Dropout1d on (N, C, L) before Linear(L): one factor per row of the layer's input.
    x, weight = normal(3, 2, 4, seed=5), normal(3, 4, seed=6)
    layer = linear(weight)
    _, test_var = population(layer(x), channel_dim=-1)
    _, var = masks.noisy_moments(layer, x, masks.dropout(0.3), "channel", channel_dim=-1)
    energy = theory.linear_noise_energy(x, weight, "sample")
    assert_close(theory.train_var_after(test_var, energy, theory.tau_of(0.3)), var, rtol=1e-11)


def test_any_noise_of_equal_tau():
    x, weight, tau = normal(3, 5, seed=7), normal(3, 5, seed=8), 0.25
    layer = linear(weight)
    _, test_var = population(layer(x))
    law = theory.train_var_after(test_var, theory.linear_noise_energy(x, weight), tau)
    for outcomes in (masks.gaussian(theory.sigma_of(tau)), masks.uout(theory.beta_of(tau))):
        _, var = masks.noisy_moments(layer, x, outcomes, "element")
        assert_close(law, var, rtol=1e-11)


@pytest.mark.parametrize("sharing", ["element", "sample"])
def test_the_unbiased_batch_variance_takes_on_tau_times_energy(sharing):
    # Rows are noised independently, so that the divisor M − 1 repairs the noise exactly as well.
    x, weight = normal(4, 3, seed=9), normal(3, 3, seed=10)
    layer = linear(weight)
    stored = masks.expected_batch_variance(layer, x, masks.dropout(0.3), sharing)
    energy = theory.linear_noise_energy(x, weight, sharing)
    assert_close(stored, layer(x).var(0, correction=1) + theory.tau_of(0.3) * energy, rtol=1e-11)


@pytest.mark.parametrize("rule", [wrong.element_energy_by_variance, wrong.equal_correlation_energy])
def test_wrong_energies_fail_the_masks(rule):
    x = normal(4, 6, seed=1) * torch.arange(1, 7, dtype=torch.float64)
    weight = normal(3, 6, seed=2)
    layer = linear(weight)
    _, test_var = population(layer(x))
    _, var = masks.noisy_moments(layer, x, masks.dropout(0.5), "element")
    with pytest.raises(AssertionError):
        assert_close(test_var + rule(x, weight), var, rtol=1e-3)


def test_sharing_matters():
    x, weight = normal(4, 6, seed=1), normal(3, 6, seed=2)
    _, var = masks.noisy_moments(linear(weight), x, masks.dropout(0.5), "sample")
    _, test_var = population(linear(weight)(x))
    element = theory.linear_noise_energy(x, weight, "element")
    with pytest.raises(AssertionError):
        assert_close(test_var + element, var, rtol=1e-3)


@prop
@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.floats(0.01, 0.99))
def test_the_largest_noise_meets_the_bound(var_test, energy, bound):
    v, n = (
        torch.tensor([var_test], dtype=torch.float64),
        torch.tensor([energy], dtype=torch.float64),
    )
    tau = theory.max_tau_after(v, n, bound).item()
    assert theory.ratio_after(v, n, tau).item() == pytest.approx(bound, rel=1e-10)
    assert theory.max_drop_p_after(v, n, bound).item() == pytest.approx(theory.drop_p_of(tau))


def test_no_energy_no_limit():
    one, zero = torch.ones(1), torch.zeros(1)
    assert theory.max_tau_after(one, zero).isinf().item()
    assert theory.max_drop_p_after(one, zero).item() == 1


def test_placement_a_is_the_energy_of_the_identity():
    x = normal(5, 4, seed=11)
    c, v = population(x)
    energy = theory.linear_noise_energy(x, torch.eye(4))
    assert_close(theory.train_var_after(v, energy, 0.7), theory.train_var(c, v, 0.7), rtol=1e-12)


def test_float32_data_is_averaged_in_float64():
    x = normal(64, 8, seed=12, mean=1000.0).float()
    energy = theory.linear_noise_energy(x, torch.ones(2, 8))
    assert energy.dtype == torch.float64
    assert_close(energy, theory.linear_noise_energy(x.double(), torch.ones(2, 8)), rtol=1e-15)


def test_large_inputs_are_read_in_parts():
    x, weight = normal(20_001, 3, seed=13), normal(2, 3, seed=14)
    assert_close(theory.linear_noise_energy(x, weight), weight.square() @ x.square().mean(0))
    whole = (x @ weight.T).square().mean(0)
    assert_close(theory.linear_noise_energy(x, weight, "sample"), whole)


def test_errors_say_what_and_what_to_do():
    with pytest.raises(UsageError, match=r"weight has shape \(2, 3\) but the input has 4 features"):
        theory.linear_noise_energy(torch.ones(5, 4), torch.ones(2, 3))
    with pytest.raises(UsageError, match="pass a batch of shape"):
        theory.linear_noise_energy(torch.ones(4), torch.ones(2, 4))
    with pytest.raises(UsageError, match="pass a batch of shape"):
        theory.linear_noise_energy(torch.ones(0, 4), torch.ones(2, 4))
    with pytest.raises(UsageError, match="sharing is 'row'"):
        theory.linear_noise_energy(torch.ones(5, 4), torch.ones(2, 4), "row")
    with pytest.raises(UsageError, match="second has shape"):
        theory.linear_noise_energy_from_second(torch.ones(1, 4), torch.ones(2, 4))
    with pytest.raises(UsageError, match="second has 4 negative entries"):
        theory.linear_noise_energy_from_second(-torch.ones(4), torch.ones(2, 4))
    with pytest.raises(UsageError, match="energy has 2 negative entries"):
        theory.train_var_after(torch.ones(2), -torch.ones(2), 1.0)
    with pytest.raises(UsageError, match="shapes differ"):
        theory.ratio_after(torch.ones(2), torch.ones(3), 1.0)


def test_energy_is_double_whatever_comes_in():
    second, weight = torch.tensor([1.0, 4.0]), torch.tensor([[1.0, 3.0]])
    for one in (second, second.double(), second.half()):
        for other in (weight, weight.double(), weight.half()):
            energy = theory.linear_noise_energy_from_second(one, other)
            assert (energy.item(), energy.dtype) == (37.0, torch.float64)
