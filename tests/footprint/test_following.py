"""Means that moved tell of the variances that moved with them, behind an activation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from varshift._footprint.fitting import fit
from varshift._footprint.passes import Lever
from varshift._footprint.records import NormRecord

BATCHES, CHANNELS, MEMORY, GAMMA = 40, 48, 1 / 19, 1.4


def record(tau, seed, *, moved=0.2, sampling=0.02, injected=0.0):
    """Of rectified inputs: log V/v = γ log M/m by the weights, and noise that adds to both.

    A channel of small variance has moved down, more often than not: its noise weighs more today
    than it did, which is what draws a regression on the variances alone off.
    """
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    drift = moved * normal(CHANNELS)
    usual = (0.3 * normal(CHANNELS)).exp()
    v, mean = usual * (-GAMMA * drift / 2).exp(), usual.sqrt() * (-drift / 2).exp()
    lever = 0.6 / usual  # of noise that does not know of the drift
    slope = 0.2 * lever * mean
    relative = lever * usual / v
    put = 1 + injected * relative
    means = (mean + injected * slope) * (1 + sampling * normal(BATCHES, CHANNELS))
    variances = v * put * (1 + sampling * normal(BATCHES, CHANNELS))
    more = 1 + sampling * MEMORY**0.5 * normal(CHANNELS)
    # What the norm stored is of the weights as they were: larger by the drift, and noisy.
    stored_mean = (mean + tau * slope) * drift.exp() * more
    stored_var = v * (1 + tau * relative) * (GAMMA * drift).exp() * more
    still = torch.zeros(CHANNELS, dtype=torch.float64)
    return NormRecord(
        stored_mean,
        stored_var,
        means,
        variances,
        torch.full((BATCHES,), 64.0, dtype=torch.float64),
        {0: Lever(relative, slope, still)},
        {0: injected} if injected else {},
        MEMORY,
    )


def without_means(one):
    """The same norm, of which the means have both signs and tell nothing."""
    signs = torch.ones(CHANNELS, dtype=torch.float64)
    signs[::2] = -1
    levers = {
        n: Lever(lever.var, lever.mean * signs, lever.shared) for n, lever in one.levers.items()
    }
    return replace(one, stored_mean=one.stored_mean * signs, means=one.means * signs, levers=levers)


@pytest.mark.parametrize("tau", [0.0, 0.3])
def test_what_the_means_tell_is_no_noise(tau):
    told, blind = [], []
    for seed in range(60):
        one = record(tau, seed, injected=tau)
        told.append(fit({"n": one}, [0]))
        blind.append(fit({"n": without_means(one)}, [0]))
    assert all(each.norms["n"].witness.follows for each in told)
    assert not any(each.norms["n"].witness.follows for each in blind)

    def off(fits):
        return torch.tensor([each.places[0].tau - tau for each in fits])

    def error(fits):
        return torch.tensor([each.places[0].tau_se for each in fits])

    assert float(off(told).square().mean()) < float(off(blind).square().mean()) / 4
    assert float(error(told).median()) < float(error(blind).median()) / 2
    held = (off(told).abs() < 2.1 * error(told)).double().mean()
    assert float(held) > 0.8


def test_means_at_rest_change_nothing():
    one = record(0.2, 3, moved=0.0, injected=0.2)
    with_means, without = fit({"n": one}, [0]), fit({"n": without_means(one)}, [0])
    assert not with_means.norms["n"].witness.follows
    assert with_means.places[0].tau == pytest.approx(without.places[0].tau, rel=1e-4)


def test_data_that_are_only_similar_move_means_as_well():
    one = replace(record(0.2, 4), memory=None)
    assert not fit({"n": one}, [0]).norms["n"].witness.follows
