"""The numbers behind a site: slopes, errors, Student's t, drift, memory."""

from __future__ import annotations

import pytest
import scipy.stats
import torch
from torch import nn

from varshift._footprint.drift import Drift, Others, Witness, drifts, witness
from varshift._footprint.fitting import Fit, fit, p_value, student_quantile
from varshift._footprint.memory import remembered
from varshift._footprint.passes import Lever
from varshift._footprint.records import NormRecord

BATCHES, CHANNELS, MEMORY = 30, 40, 1 / 19
NOTHING = Others(torch.zeros(5, 0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64))


def evidence(taus, seed, scale=1.0, memory=MEMORY, injected=None):
    """V = v + Σ τN under sampling noise of the size that the batches themselves show."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    v, mean = 1 + normal(CHANNELS).square(), normal(CHANNELS)
    relative = [0.5 + torch.rand(CHANNELS, generator=draw, dtype=torch.float64) for _ in taus]
    put = injected or {}
    quiet = v * (1 + sum(tau * relative[place] for place, tau in put.items()))
    variances = quiet * (1 + 0.05 * normal(BATCHES, CHANNELS))
    stored = v * (1 + sum(tau * one for tau, one in zip(taus, relative, strict=True))) * scale
    stored = stored * (1 + 0.05 * MEMORY**0.5 * normal(CHANNELS))
    means = mean + 0.05 * normal(BATCHES, CHANNELS)
    stored_mean = mean * scale**0.5 + 0.05 * MEMORY**0.5 * normal(CHANNELS)
    samples = torch.full((BATCHES,), 64.0, dtype=torch.float64)
    still = torch.zeros(CHANNELS, dtype=torch.float64)
    levers = {place: Lever(one, still, still) for place, one in enumerate(relative)}
    return NormRecord(stored_mean, stored, means, variances, samples, levers, put, memory)


@pytest.mark.parametrize("tau", [-0.1, 0.0, 0.1, 1.0])
def test_errors_are_as_large_as_they_say(tau):
    fits = [fit({"n": evidence([tau], seed)}, [0]).places[0] for seed in range(200)]
    scores = torch.tensor([(found.tau - tau) / found.tau_se for found in fits])
    assert abs(float(scores.mean())) < 5 * 200**-0.5 * 1.2
    # At τ > 0 the stored values scatter by more than the noise-free batches do, on purpose here.
    # Where channels scatter more by chance they are trusted less: errors are rather too large.
    assert 0.65 < float(scores.std()) < 1.6


def test_two_places_of_two_norms_are_told_apart_with_their_errors():
    """The second norm meets both noises, the first one only the first."""
    scores = []
    for seed in range(200):
        one, two = evidence([0.2], seed), evidence([0.2, 0.5], 1000 + seed)
        found = fit({"one": one, "two": two}, [0, 1]).places
        scores.append([(found[k].tau - true) / found[k].tau_se for k, true in ((0, 0.2), (1, 0.5))])
    spread = torch.tensor(scores)
    assert bool((spread.mean(0).abs() < 5 * 200**-0.5 * 1.3).all())
    assert bool(((spread.std(0) > 0.65) & (spread.std(0) < 1.6)).all())


@pytest.mark.parametrize("put", [0.0, 0.2, 0.6])
def test_what_was_put_in_is_no_matter(put):
    found = fit({"n": evidence([0.4], 3, injected={0: put})}, [0]).places[0]
    assert abs(found.tau - 0.4) < 4 * found.tau_se < 0.1
    assert found.added == pytest.approx(found.tau, rel=0.15)  # the median lever is 1


def test_one_wild_channel_does_not_decide():
    one = evidence([0.2], 0)
    one.stored_var[3] *= 40
    assert abs(fit({"n": one}, [0]).places[0].tau - 0.2) < 0.03


def test_a_channel_that_noise_alone_would_wake_does_not_decide():
    """Next to no variance without noise: its slope is that of a threshold, not of its weights."""
    one = evidence([0.2], 0)
    one.levers[0].var[3] = 1e5
    found = fit({"n": one}, [0]).places[0]
    assert not one.live[3]
    assert abs(found.tau - 0.2) < 0.03


def test_a_common_factor_is_told_from_noise_by_the_means():
    """Weights 2 % larger while the statistics were taken look like noise, but for the means."""
    one = {"n": evidence([0.0], 1, scale=1.04)}
    naive = fit(one, [0])
    (drift,) = drifts([naive.norms["n"].witness])
    told = fit(one, [0], drifts={"n": drift})
    first, second = naive.places[0], told.places[0]
    assert first.tau / first.tau_se > 3
    assert drift.value == pytest.approx(0.04, abs=3 * drift.error)
    assert abs(second.tau) < 2 * second.tau_se
    assert second.tau_se > first.tau_se


def test_a_scale_that_is_free_leaves_the_pattern_alone():
    """The estimate is that of ordinary least squares with an intercept."""
    one = evidence([0.3], 2)
    twice = evidence([0.3], 2)
    twice.stored_var.mul_(2)
    free = {"n": Drift(0.0, float("inf"))}
    slope = fit({"n": one}, [0], drifts=free).places[0]
    assert abs(slope.tau - 0.3) < 4 * slope.tau_se
    # Twice the variance is twice the intercept and twice the slope: V/v − 1 = 1 + 2τN/v.
    assert fit({"n": twice}, [0], drifts=free).places[0].tau == pytest.approx(
        2 * slope.tau, rel=0.02
    )


def test_scatter_tells_how_short_an_unknown_memory_is():
    """Stored values of a single batch, which scatter by 19 times as much in variance."""
    seeds = range(40)
    short = [evidence([0.2], seed, memory=None) for seed in seeds]
    for seed, one in zip(seeds, short, strict=True):
        draw = torch.Generator().manual_seed(500 + seed)
        one.stored_var.mul_(1 + 0.05 * torch.randn(CHANNELS, generator=draw, dtype=torch.float64))
    fits = [fit({"n": one}, [0]).places[0] for one in short]
    usual = [fit({"n": evidence([0.2], seed, memory=None)}, [0]).places[0] for seed in seeds]
    wider = sum(each.tau_se for each in fits) / sum(each.tau_se for each in usual)
    assert 2 < wider < 5  # √(1 + 1/30) against √(1/19 + 1/30): 3.5
    scores = torch.tensor([(each.tau - 0.2) / each.tau_se for each in fits])
    assert 0.6 < float(scores.std()) < 1.6


def test_noise_that_moves_means_is_not_taken_for_drift():
    """Behind a ReLU noise raises every mean: an error of τ is no drift of the weights."""
    draw = torch.Generator().manual_seed(0)
    mean = 1 + torch.rand(CHANNELS, generator=draw, dtype=torch.float64)
    slopes = mean.sqrt()
    means = mean + 0.02 * torch.randn(BATCHES, CHANNELS, generator=draw, dtype=torch.float64)
    stored, var = mean + 0.05 * slopes, torch.ones(CHANNELS, dtype=torch.float64)
    known = Others(slopes[:, None], torch.tensor([0.1], dtype=torch.float64))
    without = Others(slopes[:, None], torch.tensor([0.0], dtype=torch.float64))
    told = witness(stored, means, var, 0.1, 0.0, known)
    fooled = witness(stored, means, var, 0.1, 0.0, without)
    assert fooled.scale > 0.05
    assert abs(told.scale) < 0.3 * fooled.scale
    assert told.restless < 2 < fooled.restless


def test_still_weights_cost_nothing():
    (drift,) = drifts([Witness(0.001, 0.002, 0.0)])
    assert (drift.value, drift.error) == (0.0, 0.0)


def test_restless_weights_cost_as_much_as_a_network_at_a_constant_rate_does():
    restless = drifts([Witness(0.0, 1.0, 0.0, restless=9.0), Witness(0.0, 1.0, 0.0)])
    assert all(drift.error == pytest.approx(0.015, rel=1e-3) for drift in restless)
    (longer,) = drifts([Witness(0.0, 1.0, 0.0, restless=9.0, memory=0.005)])
    assert longer.error == pytest.approx(0.045, rel=0.01)


def test_what_is_too_far_off_is_no_drift():
    (drift,) = drifts([Witness(-0.9, 0.01, 0.3)])
    assert drift.value == pytest.approx(-0.2)


def test_means_of_zero_tell_nothing():
    zero = torch.zeros(5, dtype=torch.float64)
    told = witness(zero, torch.zeros(9, 5, dtype=torch.float64), zero + 1, 0.1, 0.0, NOTHING)
    assert told.scale == 0
    assert drifts([told, Witness(0.0, 1.0, 0.02)])[0].error == pytest.approx(0.7 * 0.02)


@pytest.mark.parametrize("tau", [-0.3, 0.1, 0.6])
@pytest.mark.parametrize("dof", [1, 4, 27])
def test_student_against_scipy(tau, dof):
    found = Fit(tau, 0.2, dof, 0.1)
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


def test_memory_that_a_file_has_lost_may_be_told():
    norm = nn.BatchNorm1d(3, momentum=0.0)
    norm.running_var.fill_(2.0)
    assert remembered(norm).supposed
    told = remembered(norm, 0.01)
    assert (told.share, told.supposed) == (pytest.approx(0.01 / 1.99), False)
    assert remembered(norm, "unknown").share is None


def test_memory_of_norms_that_have_none():
    assert "not trained" in remembered(nn.BatchNorm1d(3))
    assert "not trained" in remembered(nn.BatchNorm1d(3), "unknown")
    young = nn.BatchNorm1d(3)
    young(torch.randn(8, 3))
    assert "has tracked 1 batch: 90 % of its statistics" in remembered(young)
