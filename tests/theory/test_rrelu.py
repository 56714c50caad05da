from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from oracles import masks, wrong
from oracles.data import assert_close, normal, population
from oracles.gauss import brute_force_moments
from varshift import theory
from varshift.errors import UsageError

SLOPES = [(1 / 8, 1 / 3), (0.0, 1.0), (-0.5, 0.25), (0.3, 0.3)]


def slopes(lower, upper):
    """Three Gauss–Legendre points of U(lower, upper): exact for a variance."""
    points, weights = np.polynomial.legendre.leggauss(3)
    values = (lower + upper) / 2 + (upper - lower) / 2 * points
    return masks.Outcomes(list(values), list(weights / 2))


def every_slope(layer, x, lower, upper):
    """Mean and population variance of layer(RReLU(x)) in training, over every draw."""
    factors, chances = slopes(lower, upper).every(x[0].numel())
    first, second = [], []
    for sample in x:
        y = layer(torch.where(sample > 0, sample, sample * factors.reshape(-1, *sample.shape)))
        y = y.reshape(*y.shape[:2], -1)
        first.append((chances[:, None, None] * y).sum(0))
        second.append((chances[:, None, None] * y.square()).sum(0))
    mean = torch.stack(first).mean((0, 2))
    return mean, torch.stack(second).mean((0, 2)) - mean.square()


@pytest.mark.parametrize(("lower", "upper"), SLOPES)
def test_laws_match_every_slope(lower, upper):
    x = normal(4, 2, 3, seed=1, mean=0.1)
    halves = theory.HalfMoments.of(x)
    test = F.rrelu(x, lower, upper, training=False)
    mean, var = every_slope(lambda y: y, x, lower, upper)
    assert_close(theory.rrelu_mean(halves, lower, upper), mean, rtol=1e-11)
    assert_close(theory.rrelu_mean(halves, lower, upper), population(test)[0], rtol=1e-11)
    assert_close(theory.rrelu_test_var(halves, lower, upper), population(test)[1], rtol=1e-12)
    assert_close(theory.rrelu_train_var(halves, lower, upper), var, rtol=1e-11)
    assert_close(theory.rrelu_ratio(halves, lower, upper), population(test)[1] / var, rtol=1e-11)


def test_after_a_padded_convolution():
    x, weight = normal(3, 2, 3, seed=2, mean=-0.2), normal(3, 2, 2, seed=3)
    lower, upper = 0.0, 0.8

    def layer(batch):
        return F.conv1d(batch, weight, padding=1)

    _, test_var = population(layer(F.rrelu(x, lower, upper, training=False)))
    _, var = every_slope(layer, x, lower, upper)
    energy = theory.conv_noise_energy(x.clamp(max=0), weight, padding=1)
    law = theory.train_var_after(test_var, energy, theory.rrelu_slope_var(lower, upper))
    assert_close(law, var, rtol=1e-11)


def test_a_wrong_slope_variance_fails():
    x, (lower, upper) = normal(4, 2, 3, seed=1), (0.0, 1.0)
    halves = theory.HalfMoments.of(x)
    _, var = every_slope(lambda y: y, x, lower, upper)
    second = halves.negative_var + halves.negative_mean.square()
    law = theory.rrelu_test_var(halves, lower, upper)
    with pytest.raises(AssertionError):
        assert_close(law + wrong.rrelu_slope_var_by_square(lower, upper) * second, var, rtol=1e-3)


@pytest.mark.parametrize("mean", [-30.0, -2.0, 0.0, 0.5, 40.0])
@pytest.mark.parametrize("var", [1e-4, 1.0, 900.0])
def test_gaussian_halves_integrate(mean, var):
    c, v = torch.tensor([mean], dtype=torch.float64), torch.tensor([var], dtype=torch.float64)
    halves = theory.HalfMoments.gaussian(c, v)
    above = brute_force_moments(lambda x: np.maximum(x, 0), mean, var, (0.0,))
    below = brute_force_moments(lambda x: np.minimum(x, 0), mean, var, (0.0,))
    expected = torch.tensor([*above[:2], *below[:2]], dtype=torch.float64)
    actual = torch.cat(tuple(vars(halves).values()))
    assert_close(actual, expected, rtol=1e-10, atol=1e-200)


def test_gaussian_halves_have_the_closed_form_means():
    z = 0.7
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    below = math.erfc(z / math.sqrt(2)) / 2
    halves = theory.HalfMoments.gaussian(
        torch.tensor([z], dtype=torch.float64), torch.ones(1).double()
    )
    assert halves.positive_mean.item() == pytest.approx(density + z * (1 - below), rel=1e-12)
    assert halves.negative_mean.item() == pytest.approx(-density + z * below, rel=1e-12)


def test_torch_in_training_within_five_standard_errors():
    torch.manual_seed(0)
    count = 200_000
    y = F.rrelu(torch.full((count,), -2.0, dtype=torch.float64), 0.1, 0.9, training=True)
    halves = theory.HalfMoments.of(torch.full((2, 1), -2.0, dtype=torch.float64))
    truth = theory.rrelu_train_var(halves, 0.1, 0.9).item()
    # Var of a sample variance of a uniform: (μ4 − σ⁴)/n with μ4 = 9/5 σ⁴.
    error = truth * math.sqrt(0.8 / count)
    assert abs(y.var().item() - truth) < 5 * error
    assert 5 * error < 0.02 * truth


def test_errors():
    with pytest.raises(
        UsageError, match=r"lower is 0\.5 and upper 0\.1; pass finite lower <= upper"
    ):
        theory.rrelu_slope_var(0.5, 0.1)
    one = torch.ones(2)
    with pytest.raises(UsageError, match="positive_mean has negative"):
        theory.HalfMoments(-one, one, -one, one)
    with pytest.raises(UsageError, match="shapes differ"):
        theory.HalfMoments(one, one, -one, torch.ones(3))
    with pytest.raises(UsageError, match="positive_var has 2 negative entries"):
        theory.HalfMoments(one, -one, -one, one)
    with pytest.raises(UsageError, match="negative_var has 2 negative entries"):
        theory.HalfMoments(one, one, -one, -one)
