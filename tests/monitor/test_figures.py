"""Figures of a few looks against a slow twin, and what is sure of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from varshift._engine import Sight
from varshift._monitor.figures import NormLook, figures_of
from varshift.theory.halves import student_factor
from varshift.theory.jackknife import jackknife_error


def looks_of(seed, looks=6, channels=9, ratio=0.5, noise=0.1):
    draws = np.random.default_rng(seed)
    scale = draws.uniform(0.1, 10, channels)
    return [
        NormLook(
            scale * np.exp(noise * draws.standard_normal(channels)),
            scale * ratio * np.exp(noise * draws.standard_normal(channels)),
        )
        for _ in range(looks)
    ]


def twin(looks):
    """Every figure by hand, in torch, one left out after another."""

    def figures(chosen):
        train = torch.tensor(np.array([look.train for look in chosen])).sum(0)
        off = torch.tensor(np.array([look.off for look in chosen])).sum(0)
        delta = (off / train)[train > 0]
        return delta.quantile(0.5), torch.maximum(delta, 1 / delta).quantile(0.5)

    whole = figures(looks)
    without = [figures(looks[:at] + looks[at + 1 :]) for at in range(len(looks))]
    factor = student_factor(len(looks) - 1)
    errors = [
        value * factor * jackknife_error(torch.stack([w[at] for w in without]).log())
        for at, value in enumerate(whole)
    ]
    return [float(each) for each in (*whole, *errors)]


@pytest.mark.parametrize("seed", range(5))
def test_against_a_slow_twin(seed):
    looks = looks_of(seed, channels=8 + seed)
    looks[2].train[3] = looks[2].off[3] = 0.0  # dead at one look
    for look in looks:
        look.train[1] = look.off[1] = 0.0  # dead at all
    found = figures_of("norm", looks)
    shift, severity, shift_se, severity_se = twin(looks)
    assert math.isclose(found.shift, shift, rel_tol=1e-12)
    assert math.isclose(found.severity, severity, rel_tol=1e-12)
    assert math.isclose(found.shift_se, shift_se, rel_tol=1e-9)
    assert math.isclose(found.severity_se, severity_se, rel_tol=1e-9)
    assert found.delta[1].isnan()
    assert found.delta.isfinite().sum() == 7 + seed


def test_one_look_has_no_error_and_nothing_is_sure():
    found = figures_of("norm", looks_of(0, looks=1))
    assert found.severity > 1.5
    assert math.isnan(found.severity_se)
    assert math.isnan(found.shift_se)
    assert found.low == 1.0


def test_scatter_alone_is_not_sure():
    """No shift, channels scatter by a tenth: in 400 runs the lower end passes 1.1 in none."""
    lows = [figures_of("norm", looks_of(seed, ratio=1.0)).low for seed in range(400)]
    assert max(lows) < 1.1


def test_a_shift_is_sure_and_its_lower_end_lies_below_it():
    lows = np.array([figures_of("norm", looks_of(s, channels=64)).low for s in range(200)])
    assert (lows > 1.1).all()
    # 97.5 of 100 lower ends lie below the truth; five standard errors of that share below.
    assert (lows < 2).mean() > 0.975 - 5 * math.sqrt(0.975 * 0.025 / 200)


def test_channels_that_shift_both_ways_are_seen():
    looks = looks_of(0, channels=32, noise=0.02)
    for look in looks:
        look.off[::2] *= 4  # half of the channels 0.5, half 2
    found = figures_of("norm", looks)
    assert found.low > 1.7
    assert abs(found.severity - 2) < 0.1


def test_nothing_alive():
    empty = [NormLook(np.zeros(3), np.zeros(3))] * 3
    found = figures_of("norm", empty)
    assert math.isnan(found.severity)
    assert found.low == 1.0


def test_a_channel_is_dead_up_to_the_rounding_of_its_mean():
    mean = torch.tensor([100.0, 100.0, 0.0], dtype=torch.float64)
    still, moving = 1e-12, 0.1
    var = torch.tensor([still, moving, 0.0], dtype=torch.float64)
    look = NormLook.of(var.clone(), Sight(mean, var, 1.2e-7))
    assert look.train.tolist() == [0.0, 0.1, 0.0]
    unread = NormLook.of(torch.full((3,), math.nan).double(), Sight(mean, var + 1, 1.2e-7))
    assert unread.train.tolist() == unread.off.tolist() == [0.0, 0.0, 0.0]
