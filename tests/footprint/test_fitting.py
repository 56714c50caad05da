"""The numbers behind a site: slope, error, Student's t, drift, memory."""

from __future__ import annotations

import pytest
import scipy.stats
import torch
from torch import nn

from varshift._footprint.drift import Witness, drifts, witness
from varshift._footprint.fitting import Excess, Fit, fit, p_value, student_quantile
from varshift._footprint.memory import remembered

BATCHES, CHANNELS, MEMORY = 30, 40, 1 / 19


def excess(tau, seed, scale=1.0):
    """V = v + τN under sampling noise of the size that the batches themselves show."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    v, mean = 1 + normal(CHANNELS).square(), normal(CHANNELS)
    energy = v * (0.5 + torch.rand(CHANNELS, generator=draw, dtype=torch.float64))
    variances = v * (1 + 0.05 * normal(BATCHES, CHANNELS))
    stored = (v + tau * energy) * scale * (1 + 0.05 * MEMORY**0.5 * normal(CHANNELS))
    means = mean + 0.05 * normal(BATCHES, CHANNELS)
    stored_mean = mean * scale**0.5 + 0.05 * MEMORY**0.5 * normal(CHANNELS)
    samples = torch.full((BATCHES,), 64.0, dtype=torch.float64)
    return Excess(stored_mean, stored, means, variances, energy, samples, 0.0, MEMORY)


@pytest.mark.parametrize("tau", [-0.1, 0.0, 0.1, 1.0])
def test_errors_are_as_large_as_they_say(tau):
    fits = [fit(excess(tau, seed)) for seed in range(200)]
    scores = torch.tensor([(found.tau - tau) / found.tau_se for found in fits])
    assert abs(float(scores.mean())) < 5 * 200**-0.5 * 1.2
    # At τ > 0 the stored values scatter by more than the noise-free batches do, on purpose here.
    assert 0.75 < float(scores.std()) < 1.6


def test_one_wild_channel_does_not_decide():
    one = excess(0.2, 0)
    one.stored_var[3] *= 40
    assert abs(fit(one).tau - 0.2) < 0.03


def test_a_common_factor_is_told_from_noise_by_the_means():
    """Weights 2 % larger while the statistics were taken look like noise, but for the means."""
    one = excess(0.0, 1, scale=1.04)
    naive = fit(one)
    (drift,) = drifts([naive.witness])
    told = fit(one, drift)
    assert naive.tau / naive.tau_se > 3
    assert drift.value == pytest.approx(0.04, abs=3 * drift.error)
    assert abs(told.tau) < 2 * told.tau_se
    assert told.tau_se > naive.tau_se


def test_still_weights_cost_nothing():
    (drift,) = drifts([Witness(0.001, 0.002, 0.0)])
    assert (drift.value, drift.error) == (0.0, 0.0)


def test_means_of_zero_tell_nothing():
    zero = torch.zeros(5, dtype=torch.float64)
    told = witness(zero, torch.zeros(9, 5, dtype=torch.float64), zero + 1, 0.1, 0.0)
    assert told.scale == 0
    assert drifts([told, Witness(0.0, 1.0, 0.02)])[0].error == pytest.approx(0.7 * 0.02)


@pytest.mark.parametrize("tau", [-0.3, 0.1, 0.6])
@pytest.mark.parametrize("dof", [1, 4, 27])
def test_student_against_scipy(tau, dof):
    found = Fit(tau, 0.2, dof, 1.0, 9, 0.1, Witness(0, 0, 0))
    assert p_value(found) == pytest.approx(scipy.stats.t.sf(tau / 0.2, dof), rel=1e-9)
    assert student_quantile(0.95, dof) == pytest.approx(scipy.stats.t.ppf(0.975, dof), rel=1e-9)


@pytest.mark.parametrize("momentum", [0.1, 0.03])
def test_memory_is_what_the_average_weighs(momentum):
    norm = nn.BatchNorm1d(1, momentum=momentum).double()
    weights = torch.zeros(120, dtype=torch.float64)
    for step in range(120):
        weights *= 1 - momentum
        weights[step] = momentum
        norm(torch.tensor([[0.0], [2.0]], dtype=torch.float64))  # unbiased variance 2, mean 1
    memory = remembered(norm)
    weights /= weights.sum()
    assert memory.share == pytest.approx(float(weights.square().sum()), rel=1e-9)
    assert memory.var.item() == pytest.approx(2.0, rel=1e-12)
    assert memory.mean.item() == pytest.approx(1.0, rel=1e-12)


def test_memory_of_norms_that_have_none():
    assert "not trained" in remembered(nn.BatchNorm1d(3))
    young = nn.BatchNorm1d(3)
    young(torch.randn(8, 3))
    assert "has tracked 1 batches: 90%" in remembered(young)
