from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from oracles import wrong
from oracles.data import assert_close, prop
from oracles.gauss import (
    PIECEWISE,
    brute_force_moments,
    exponential_moments,
    piecewise_moments,
)
from varshift import theory
from varshift.errors import UsageError
from varshift.theory import quadrature

MEANS = [-50.0, -6.0, -1.0, 0.0, 0.3, 2.0, 50.0]
VARS = [1e-6, 1e-2, 1.0, 30.0, 1e4]
GRID = [(mean, var) for mean in MEANS for var in VARS]

EXACT = {
    "identity": lambda x: x,
    "relu": torch.relu,
    "leaky_relu": F.leaky_relu,
    "relu6": F.relu6,
    "hardswish": F.hardswish,
    "jump": lambda x: (x > 0.3).double(),
    "bend": lambda x: (x - 0.123).abs(),
}
SMOOTH = {
    "gelu": (F.gelu, lambda x: x * special.ndtr(x)),
    "silu": (F.silu, lambda x: x * special.expit(x)),
    "tanh": (torch.tanh, np.tanh),
    "sigmoid": (torch.sigmoid, special.expit),
    "elu": (F.elu, lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    "softplus": (F.softplus, lambda x: np.logaddexp(0, x)),
    "mish": (F.mish, lambda x: x * np.tanh(np.logaddexp(0, x))),
    "selu": (F.selu, lambda x: torch.selu(torch.from_numpy(x)).numpy()),
    "softshrink": (F.softshrink, lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0)),
}
ALL_KINKS = (-6.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0)


def column(values):
    return torch.tensor(values, dtype=torch.float64)


def on_grid(function, grid):
    mean, var = column([m for m, _ in grid]), column([v for _, v in grid])
    first, second = theory.gaussian_moments(function, mean, var)
    return torch.stack([first, second, theory.gaussian_covariance(function, mean, var)])


def resolvable(function, grid):
    """The least error that float64 values of f allow: f is wrong by some ε·(|f| + |x|)."""
    mean, var = column([m for m, _ in grid]), column([v for _, v in grid])
    sd = var.sqrt()
    around = mean + sd * torch.linspace(-9, 9, 37, dtype=torch.float64)[:, None]
    scale = 4e-16 * function(around).abs().amax(0)
    return scale, sd


@pytest.mark.parametrize("name", sorted(PIECEWISE))
def test_piecewise_polynomials_match_the_closed_form(name):
    actual = on_grid(EXACT[name], GRID)
    expected = column([piecewise_moments(name, *point) for point in GRID]).T
    noise, sd = resolvable(EXACT[name], GRID)
    check(actual, expected, noise, sd)


def test_exponential_matches_the_log_normal_law():
    grid = [(m, v) for m in MEANS for v in (1e-6, 1e-2, 1.0, 30.0, 150.0)]
    actual = on_grid(torch.exp, grid)
    assert_close(actual, column([exponential_moments(*point) for point in grid]).T, rtol=1e-10)


@pytest.mark.parametrize("name", sorted(SMOOTH))
def test_other_activations_match_brute_force(name):
    function, twin = SMOOTH[name]
    actual = on_grid(function, GRID)
    expected = column([brute_force_moments(twin, *point, ALL_KINKS) for point in GRID]).T
    noise, sd = resolvable(function, GRID)
    if name in ("gelu", "mish"):
        # torch adds 1 + erf(…) and loses what is far below 1 of it, whatever the size of f.
        noise = torch.maximum(noise, 4e-16 * (column([abs(m) for m, _ in GRID]) + 9 * sd))
    check(actual, expected, noise, sd)


def check(actual, expected, noise, sd):
    """To 1e-10, or to the rounding noise of f itself where that is larger."""
    spread = expected[1].sqrt()
    allowed = torch.stack([noise, noise * (2 * spread + noise), noise * sd])
    excess = (actual - expected).abs() - 1e-10 * expected.abs() - allowed
    # What is below 1e-280 altogether is underflow.
    assert (excess <= 1e-280).all(), excess.amax(1)


def test_brute_force_agrees_with_the_closed_form():
    for point in [(-6.0, 30.0), (0.3, 1.0), (2.0, 1e4)]:
        exact = column(piecewise_moments("relu", *point))
        brute = column(brute_force_moments(lambda x: np.maximum(x, 0), *point, (0.0,)))
        assert_close(brute, exact, rtol=1e-12)


def test_gauss_hermite_fails_at_a_kink():
    exact = piecewise_moments("relu", 0.3, 1.0)[0]
    assert abs(wrong.relu_by_gauss_hermite(0.3, 1.0) / exact - 1) > 1e-4
    assert on_grid(torch.relu, [(0.3, 1.0)])[0].item() == pytest.approx(exact, rel=1e-13)


def test_tails_keep_their_digits():
    # E relu at 30 deviations below the kink, some 1e-200: relative, not absolute, accuracy.
    point = (-30.0, 1.0)
    expected = column(piecewise_moments("relu", *point))
    assert 0 < expected[0] < 1e-190
    assert_close(on_grid(torch.relu, [point])[:, 0], expected, rtol=1e-10)


def test_no_variance_gives_the_value():
    mean = column([-2.0, 0.0, 3.0])
    first, second = theory.gaussian_moments(torch.tanh, mean, torch.zeros(3).double())
    assert_close(first, mean.tanh(), rtol=0)
    assert second.tolist() == [0.0, 0.0, 0.0]
    assert theory.gaussian_covariance(torch.tanh, mean, torch.zeros(3).double()).sum() == 0


def test_every_channel_is_integrated_as_if_alone():
    mean, var = torch.randn(700, generator=torch.Generator().manual_seed(0)).double(), None
    var = mean.square() + 0.01
    first, second = theory.gaussian_moments(F.hardswish, mean, var)
    for i in (0, 255, 256, 699):
        alone = theory.gaussian_moments(F.hardswish, mean[i], var[i])
        assert_close(torch.stack([first[i], second[i]]), torch.stack(alone), rtol=1e-12)


def test_shapes_and_dtype_are_those_of_the_mean():
    first, second = theory.gaussian_moments(torch.relu, torch.zeros(2, 3), torch.ones(2, 3))
    assert first.shape == second.shape == (2, 3)
    assert first.dtype == torch.float32
    empty, _ = theory.gaussian_moments(torch.relu, torch.zeros(0), torch.ones(0))
    assert empty.shape == (0,)


def test_functions_that_write_in_place_are_fine():
    mean, var = column([-0.3, 0.3]), column([2.0, 2.0])
    inplace = theory.gaussian_moments(lambda x: x.relu_(), mean, var)
    assert_close(torch.cat(inplace), torch.cat(theory.gaussian_moments(torch.relu, mean, var)))
    assert mean.tolist() == [-0.3, 0.3]


def test_gauss_legendre_points():
    points, weights = np.polynomial.legendre.leggauss(16)
    ours = torch.tensor(quadrature._gauss_legendre(), dtype=torch.float64).flip(1)
    assert_close(ours[0], torch.from_numpy(points), rtol=1e-14)
    assert_close(ours[1], torch.from_numpy(weights), rtol=1e-13)


def test_kinks_may_be_named():
    mean, var = column([0.0]), column([1.0])
    f = lambda x: F.threshold(x, 0.77, 0.0)  # noqa: E731
    named = theory.gaussian_moments(f, mean, var, kinks=[0.77])
    assert_close(torch.cat(named), torch.cat(theory.gaussian_moments(f, mean, var)), rtol=1e-11)


@prop
@given(st.floats(-20, 20), st.floats(1e-4, 1e3), st.floats(-5, 5), st.floats(0.1, 5))
def test_affine_maps_go_through(mean, var, shift, scale):
    c, v = column([mean]), column([var])
    first, second = theory.gaussian_moments(lambda x: shift + scale * x, c, v)
    assert first.item() == pytest.approx(shift + scale * mean, rel=1e-11, abs=1e-11)
    assert second.item() == pytest.approx(scale**2 * var, rel=1e-10)


@prop
@given(st.floats(-5, 5), st.floats(1e-3, 100))
def test_stein(mean, var):
    # Cov(x, f(x)) = v·E[f′(x)].
    c, v = column([mean]), column([var])
    slope, _ = theory.gaussian_moments(lambda x: 1 - x.tanh().square(), c, v)
    covariance = theory.gaussian_covariance(torch.tanh, c, v)
    assert covariance.item() == pytest.approx(var * slope.item(), rel=1e-9)


def test_what_cannot_be_had_is_nan():
    nan = float("nan")
    first, second = theory.gaussian_moments(torch.exp, column([0.0, 0.0]), column([1.0, 1e4]))
    assert first.isfinite().tolist() == second.isfinite().tolist() == [True, False]
    first, _ = theory.gaussian_moments(torch.relu, column([nan, 1.0]), column([1.0, nan]))
    assert first.isnan().all()


@pytest.mark.parametrize("var", [180.0, 200.0, 230.0, 260.0, 300.0, 345.0, 400.0])
def test_exp_is_right_or_nan_where_its_mass_leaves_the_reach(var):
    expected = column(exponential_moments(0.0, min(var, 345.0))[:2])
    actual = torch.cat(theory.gaussian_moments(torch.exp, column([0.0]), column([var])))
    if var <= 200:
        assert_close(actual, expected, rtol=1e-10)
    if var >= 260:
        assert actual.isnan().all()
    assert actual.isnan().all() or ((actual / expected - 1).abs() < 1e-10).all()


def test_a_channel_that_was_not_measured_spoils_no_other():
    def finer_than_panels(x):  # near 0 alone
        return torch.where(x.abs() < 50, (1e9 * x).cos(), x)

    nan = float("nan")
    known, _ = theory.gaussian_moments(finer_than_panels, column([100.0]), column([1.0]))
    for mean, var in ((nan, 1.0), (0.0, nan)):
        first, _ = theory.gaussian_moments(
            finer_than_panels, column([mean, 100.0]), column([var, 1.0])
        )
        assert first[0].isnan()
        assert first[1] == known
    with pytest.raises(UsageError, match="does not settle"):
        theory.gaussian_moments(finer_than_panels, column([0.0]), column([1.0]))


def test_random_functions_are_refused():
    torch.manual_seed(0)
    with pytest.raises(UsageError, match=r"does not settle.*a Dropout inside it counts"):
        theory.gaussian_moments(lambda x: F.dropout(x, 0.5), torch.zeros(1), torch.ones(1))


def test_errors_say_what_and_what_to_do():
    c, v = torch.zeros(2), torch.ones(2)
    with pytest.raises(UsageError, match="shapes differ"):
        theory.gaussian_moments(torch.relu, c, torch.ones(3))
    with pytest.raises(UsageError, match="var has 2 negative"):
        theory.gaussian_moments(torch.relu, c, -v)
    with pytest.raises(UsageError, match="floating point"):
        theory.gaussian_moments(torch.relu, c.long(), v.long())
    with pytest.raises(UsageError, match="pass an elementwise function"):
        theory.gaussian_moments(torch.sum, c, v)
    with pytest.raises(UsageError, match="made float of a tensor"):
        theory.gaussian_moments(lambda x: 1.0, c, v)


def test_gelu_far_left_is_noise_but_settles():
    first, second = theory.gaussian_moments(F.gelu, column([-6.0]), column([1e-6]))
    assert math.isclose(first.item(), -5.91962916103058e-09, rel_tol=1e-8)
    assert second.item() >= 0
