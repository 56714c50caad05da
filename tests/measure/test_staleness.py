"""Each cause of stale statistics by numbers that only it makes, to the last digit."""

from __future__ import annotations

import pytest
import torch

from varshift._engine import Stretch
from varshift._measure.staleness import Arrived, inherited, staleness_of
from varshift.results import Norm, StaleCause, Statistics

WIDTH = 16


def norm(momentum=0.1, frozen=False):
    return Norm("bn", "BatchNorm1d", WIDTH, momentum, 1e-5, True, frozen, 1)


def normal(seed):
    return torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


MEAN, VAR = 2 * normal(0), (0.5 * normal(1)).exp() + 0.5


def arrived(mean=MEAN, var=VAR, scattered=(), series=()):
    return Arrived(mean, var, torch.ones(WIDTH, dtype=torch.bool), scattered, series)


def told(mean, var, received=None, *, momentum=0.1, steps=500, frozen=False):
    stored = Statistics(mean, var, steps)
    return staleness_of(norm(momentum, frozen), stored, received or arrived(), trained=True)


def other(seed):
    """Statistics of nothing that is given."""
    return MEAN + normal(seed) * VAR.sqrt(), VAR * normal(seed + 1).exp()


def test_a_frozen_norm_is_frozen_whatever_it_has_stored():
    assert told(*other(5), frozen=True).cause is StaleCause.FROZEN


@pytest.mark.parametrize("steps", [0, 500])
def test_statistics_as_made_were_never_updated(steps):
    stale = told(torch.zeros(WIDTH).double(), torch.ones(WIDTH).double(), steps=steps)
    assert stale.cause is StaleCause.NEVER_UPDATED
    assert f"num_batches_tracked {steps}" in stale.sentence
    assert told(*other(5), momentum=0.0).cause is StaleCause.NEVER_UPDATED


def test_momentum_none_averages_from_the_start():
    stale = told(*other(5), momentum=None)
    assert stale.cause is StaleCause.FROM_THE_START
    assert "the first of 500 steps" in stale.sentence


def test_few_steps_leave_the_initial_values():
    weight = 0.99**50
    stale = told((1 - weight) * MEAN, weight + (1 - weight) * VAR, momentum=0.01, steps=50)
    assert stale.cause is StaleCause.FEW_STEPS
    assert stale.initial == pytest.approx(weight, rel=1e-12)
    assert stale.left == pytest.approx(0, abs=1e-7)
    assert "61 % after 50 steps at momentum 0.01" in stale.sentence


def test_the_initial_values_are_found_where_no_steps_were_counted():
    """As of a teacher whose buffers were averaged too slowly."""
    weight = 0.4
    stale = told((1 - weight) * MEAN, weight + (1 - weight) * VAR, steps=0)
    assert stale.cause is StaleCause.FEW_STEPS
    assert stale.initial == pytest.approx(weight, abs=1e-4)  # the finer grid has steps of 2e-5
    assert "but the steps counted do not explain it" in stale.sentence


def test_few_steps_are_no_cause_where_they_explain_nothing():
    weight = 0.9**20  # 0.12
    mean, var = other(7)
    stale = told((1 - weight) * mean, weight + (1 - weight) * var, steps=20)
    assert stale.cause is StaleCause.UNKNOWN


def two_domains(count=20):
    """First one domain, then the other, 2 deviations away; and the average over both."""
    far = MEAN + 2 * VAR.sqrt()
    half = count // 2
    series = [Stretch(1, MEAN, VAR)] * half + [Stretch(1, far, 2 * VAR)] * half
    return series, (MEAN + far) / 2, 1.5 * VAR


def test_the_last_batches_are_told_from_all_of_the_data():
    series, mean, var = two_domains()
    kept = 0.9**10  # of the first domain, after ten batches of the other
    far = MEAN + 2 * VAR.sqrt()
    stored = kept * MEAN + (1 - kept) * far, kept * VAR + (1 - kept) * 2 * VAR
    stale = told(*stored, arrived(mean, var, series=series))
    assert stale.cause is StaleCause.LAST_BATCHES
    assert (stale.batch, stale.batches) == (20, 20)
    assert stale.left == pytest.approx(0, abs=1e-7)
    assert "ends with batch 20 of 20" in stale.sentence
    assert "about 10 batches" in stale.sentence


def test_domains_in_turn_by_chance_are_told_by_a_batch_of_their_own():
    """Shuffled, no average over them is one domain alone; but a batch is."""
    series, mean, var = two_domains()
    stored = series[-1].mean, series[-1].var
    stale = told(*stored, arrived(mean, var, series=series[::10] * 10))
    assert stale.cause is StaleCause.LAST_BATCHES
    assert stale.alone
    assert stale.batch == 2
    assert "batch 2 of 20 by itself" in stale.sentence


def test_batches_that_do_not_fit_are_no_cause():
    series, mean, var = two_domains()
    assert told(*other(11), arrived(mean, var, series=series)).cause is StaleCause.UNKNOWN


def test_a_large_momentum_keeps_the_scatter_between_batches():
    """At 0.9 the average has 0.9/1.1 of it: a stored mean as far off as that is no surprise."""
    scatter = 0.04 * VAR
    signs = torch.tensor([1.0, -1.0]).repeat(WIDTH // 2).double()
    stored = MEAN + signs * (inherited(0.9, 500, most=1.0) * scatter).sqrt()
    received = arrived(scattered=(scatter, torch.zeros(WIDTH).double()))
    stale = told(stored, VAR, received, momentum=0.9)
    assert stale.cause is StaleCause.LARGE_MOMENTUM
    assert "is 0.1 here" in stale.sentence
    # The same distance at momentum 0.1 is four times what that keeps.
    assert told(stored, VAR, received).cause is StaleCause.UNKNOWN


def test_what_is_scaled_alike_in_every_channel_is_another_scale():
    stale = told(MEAN / 1.5, VAR / 2.25)
    assert stale.cause is StaleCause.OTHER_SCALE
    assert stale.scale == pytest.approx(1.5, rel=2e-4)  # the finer grid has steps of 0.013 %
    assert "1.50 times" in stale.sentence


def test_channels_all_alike_do_not_tell_a_scale_from_the_initial_values():
    """A variance of 4 everywhere, 2.5 stored: half of the initial 1, or a scale of 1.26."""
    zeros, four = torch.zeros(WIDTH).double(), torch.full((WIDTH,), 4.0).double()
    assert told(zeros, four * 0.625, arrived(zeros, four)).cause is StaleCause.UNKNOWN


def test_what_no_cause_predicts_is_not_told():
    stale = told(*other(3))
    assert stale.cause is StaleCause.UNKNOWN
    assert stale.sentence.startswith("The numbers do not tell why")
    assert "nothing of the initial 1" in stale.sentence


def test_apart_is_measured_in_stored_deviations():
    """Means half a deviation off and variances e² times: √(0.5² + (2/2)²)."""
    stored = VAR / torch.e**2
    stale = told(MEAN - 0.5 * stored.sqrt(), stored)
    assert stale.apart == pytest.approx((0.25 + 1) ** 0.5, rel=1e-9)
