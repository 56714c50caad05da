"""The law of the noise: mean one, τ, who shares a draw, and the variance a norm then sees."""

from __future__ import annotations

from math import prod

import pytest
import torch
from torch import nn

import varshift as vs
from varshift.theory.shift import train_var

SHAPES = {"element": (64, 8, 4, 4), "channel": (64, 8, 1, 1), "sample": (64, 1, 1, 1)}
PASSES = 400


def draws(layer, dtype=torch.float64):
    """(passes, draws in a pass) as they fall on ones, each draw once."""
    ones = torch.ones(64, 8, 4, 4, dtype=dtype)
    index = tuple(slice(size) for size in SHAPES[layer.sharing])
    return torch.stack([layer(ones)[index].flatten() for _ in range(PASSES)]).double()


def fourth(layer):
    """Fourth central moment of a draw over τ²."""
    return 9 / 5 if isinstance(layer, vs.nn.Uout) else 3


def test_mean_one_and_the_relative_variance_it_says(layer):
    noise = draws(layer)
    n, tau = noise.numel(), layer.tau
    error = tau * ((fourth(layer) - 1) / n) ** 0.5
    assert error < 0.013 * tau  # a τ off by 7 % is caught at n = 25,600, the sample form's
    assert float(noise.mean()) == pytest.approx(1, abs=5 * (tau / n) ** 0.5)
    assert float(noise.var()) == pytest.approx(tau, abs=5 * error)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_has_mean_one_too(layer, dtype):
    """A bfloat16 `uniform_` has 8 bits of [0, 1), and its mean at β = 0.1 is 0.998."""
    noise = draws(layer, dtype)
    assert float(noise.mean()) == pytest.approx(1, abs=5 * (layer.tau / noise.numel()) ** 0.5)
    assert float(noise.var()) == pytest.approx(layer.tau, rel=0.05)


def test_a_draw_in_half_precision_would_not():
    """The deliberately wrong rule: it fails the test above."""
    torch.manual_seed(0)
    wrong = torch.empty(1_000_000, dtype=torch.bfloat16).uniform_(0.9, 1.1).double()
    assert abs(float(wrong.mean()) - 1) > 5 * 0.1 / 3**0.5 / 1000


def test_a_draw_is_shared_by_what_it_says_and_nothing_else(layer):
    noisy = layer(torch.ones(64, 8, 4, 4, dtype=torch.float64))
    shape = SHAPES[layer.sharing]
    index = tuple(slice(size) for size in shape)
    assert torch.equal(noisy, noisy[index].expand_as(noisy))
    assert len(noisy.unique()) == prod(shape)


def test_draws_are_independent(layer):
    """Neighbouring draws of a pass, and the same draw in the next pass, are uncorrelated."""
    noise = (draws(layer) - 1) / layer.tau**0.5
    within, between = noise[:, 1:] * noise[:, :-1], noise[1:] * noise[:-1]
    for products in (within, between):
        assert float(products.mean()) == pytest.approx(0, abs=5 / products.numel() ** 0.5)


def test_the_variance_over_all_draws_is_theorys(layer):
    """E[y²] − E[y]² = v + τ(c² + v), from passes that are independent of each other."""
    x = torch.randn(64, 3, 4, 4, dtype=torch.float64) * 2 + 1
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    passes = torch.stack([layer(x) for _ in range(PASSES)])
    first, second = passes.mean((1, 3, 4)), passes.square().mean((1, 3, 4))
    error = second.std(0) / PASSES**0.5
    expected = train_var(mean, var, layer.tau)
    assert bool((5 * error < 0.25 * layer.tau * (mean.square() + var)).all())
    assert bool(((second.mean(0) - mean.square() - expected).abs() < 5 * error).all())
    assert bool(((first.mean(0) - mean).abs() < 5 * first.std(0) / PASSES**0.5).all())


@pytest.mark.parametrize("drop_p", [0.1, 0.25])
def test_at_equal_tau_the_shapes_shift_alike(drop_p):
    """Bernoulli, Gaussian and Uout: the variance after each is the same number."""
    x = torch.randn(200_000, 1, dtype=torch.float64) + 1
    kinds = (
        nn.Dropout(drop_p),
        *(kind.like_dropout(drop_p) for kind in (vs.nn.Uout, vs.nn.GaussianDropout)),
    )
    torch.manual_seed(0)
    expected = float(train_var(x.mean(0), x.var(0, correction=0), drop_p / (1 - drop_p)))
    for layer in kinds:
        noisy = layer(x)
        error = float((noisy - noisy.mean()).square().std()) / 200_000**0.5
        assert float(noisy.var()) == pytest.approx(expected, abs=5 * error), layer
