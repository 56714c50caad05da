from __future__ import annotations

import math

import mpmath as mp
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from oracles import wrong
from oracles.data import assert_close, normal, prop
from varshift import theory
from varshift.errors import UsageError
from varshift.theory._incomplete_beta import log_gamma_half_step

DIMENSIONS = [2, 3, 4, 5, 9, 20, 21, 22, 27, 576, 4608, 1_000_003]


def beta_cdf(x, d):
    with mp.workdps(30):
        half, b = mp.mpf(1) / 2, mp.mpf(d - 1) / 2
        if d < 10_000:
            return float(mp.betainc(half, b, 0, mp.mpf(x), regularized=True))
        # mpmath's series gives up: integrate over u = √x, where the density is smooth.
        ends = mp.linspace(0, mp.sqrt(min(x, 200 / d)), 9)
        area = mp.quad(lambda u: 2 * (1 - u * u) ** (b - 1), ends)
        return float(area / mp.beta(half, b))


@pytest.mark.parametrize("d", [*DIMENSIONS, 3_000_001, 10**12])
def test_cdf_is_the_incomplete_beta_function(d):
    # From far below the mean 1/d to far above it.
    values = [min(1.0, scale / d) for scale in (1e-12, 1e-3, 0.1, 0.5, 1, 1.5, 2, 4, 10, 40)]
    values += [0.0, 1.0, 0.5]
    actual = theory.cos2_cdf(torch.tensor(values, dtype=torch.float64), d)
    expected = torch.tensor([beta_cdf(x, d) for x in values], dtype=torch.float64)
    assert_close(actual, expected, rtol=1e-12)


def test_where_the_law_is_next_to_normal_its_second_term_counts():
    d = 2_000_001
    values = [4 / d, 6 / d]
    actual = theory.cos2_cdf(torch.tensor(values, dtype=torch.float64), d).tolist()
    assert actual == pytest.approx([beta_cdf(x, d) for x in values], rel=1e-14, abs=0)


@pytest.mark.parametrize("d", DIMENSIONS)
def test_densities_integrate_to_the_cdf(d):
    # θ = arccos √x on [0, π/2], twice by symmetry; and the density of cos²θ against scipy's.
    x = 1.3 / d
    theta = math.acos(math.sqrt(x))
    density = lambda t: theory.angle_pdf(torch.tensor([t], dtype=torch.float64), d).item()  # noqa: E731
    area, _ = integrate.quad(density, theta, math.pi / 2, epsabs=0, epsrel=1e-11)
    assert 2 * area == pytest.approx(beta_cdf(x, d), rel=1e-10)
    values = torch.tensor([0.01 / d, 0.5 / d, x, min(0.9, 5 / d)], dtype=torch.float64)
    # scipy's own gammaln loses digits as d grows.
    expected = torch.from_numpy(stats.beta(0.5, (d - 1) / 2).pdf(values.numpy()))
    assert_close(theory.cos2_pdf(values, d), expected, rtol=1e-12 * max(d, 100))


@pytest.mark.parametrize("d", DIMENSIONS)
def test_normalisation_against_mpmath(d):
    with mp.workdps(30):
        front = mp.gamma(mp.mpf(d) / 2) / mp.gamma(mp.mpf(d - 1) / 2) / mp.sqrt(mp.pi)
    actual = theory.angle_pdf(torch.tensor([math.pi / 2], dtype=torch.float64), d).item()
    assert actual == pytest.approx(float(front), rel=1e-13)


@pytest.mark.parametrize("d", [3, 9, 576])
def test_a_wrong_density_fails(d):
    theta = torch.linspace(1.2, 1.9, 8).double()
    with pytest.raises(AssertionError):
        assert_close(wrong.angle_pdf_one_off(theta, d), theory.angle_pdf(theta, d), rtol=1e-4)


@pytest.mark.parametrize("d", [2, 3, 9, 576])
def test_moments_integrate(d):
    def moment(k):
        # ∫ (d cos²θ)^k over the density of θ: smooth, where that of cos²θ is infinite at 0.
        f = lambda t: (d * math.cos(t) ** 2) ** k * math.sin(t) ** (d - 2)  # noqa: E731
        top, _ = integrate.quad(f, 0, math.pi / 2, epsabs=0, epsrel=1e-12, limit=500)
        bottom, _ = integrate.quad(
            lambda t: math.sin(t) ** (d - 2), 0, math.pi / 2, epsabs=0, epsrel=1e-12, limit=500
        )
        return top / bottom

    assert theory.d_cos2_mean(d) == pytest.approx(moment(1), rel=1e-10)
    assert theory.d_cos2_var(d) == pytest.approx(moment(2) - moment(1) ** 2, rel=1e-9)


@pytest.mark.parametrize("d", [2, 27, 576])
def test_random_filters_average_one_within_five_standard_errors(d):
    count = 20_000
    weight = normal(count, d, seed=d, mean=0.0)
    mean = theory.d_cos2(weight).mean().item()
    error = math.sqrt(theory.d_cos2_var(d) / count)
    assert abs(mean - 1) < 5 * error
    assert 5 * error < 0.06  # far below Table 1's 2.6 and more


def test_orthogonality_and_growth_are_opposites():
    # cos²θ → 0 (near-orthogonal) while the mean of d·cos²θ stays 1: geometry makes nothing grow.
    medians = [theory.cos2_quantile(0.5, d) for d in (10, 100, 1000, 10_000)]
    assert medians == sorted(medians, reverse=True)
    scaled = [d * m for d, m in zip((10, 100, 1000, 10_000), medians, strict=True)]
    assert 0.4 < min(scaled) < max(scaled) < 0.6
    assert {theory.d_cos2_mean(d) for d in (10, 100, 1000)} == {1.0}


@prop
@given(st.floats(1e-9, 0.999999), st.sampled_from(DIMENSIONS))
def test_quantile_and_cdf_undo_each_other(probability, d):
    value = theory.cos2_quantile(probability, d)
    back = theory.cos2_cdf(torch.tensor([value], dtype=torch.float64), d).item()
    assert back == pytest.approx(probability, rel=1e-10)


@prop
@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(DIMENSIONS))
def test_cdf_rises(a, b, d):
    low, high = theory.cos2_cdf(torch.tensor(sorted((a, b)), dtype=torch.float64), d).tolist()
    assert 0 <= low <= high + 1e-14
    assert high <= 1


@pytest.mark.parametrize("z", [0.5, 1.0, 3.5, 9.5, 10.0, 10.5, 13.0, 100.0, 1e6, 1e12])
def test_gamma_half_step(z):
    with mp.workdps(40):
        expected = float(mp.loggamma(mp.mpf(z) + 0.5) - mp.loggamma(mp.mpf(z)))
    assert log_gamma_half_step(z) == pytest.approx(expected, rel=1e-14, abs=2e-15)


def test_quantile_ends():
    assert theory.cos2_quantile(0.0, 9) == 0
    assert theory.cos2_quantile(1.0, 9) == 1


def test_cos2_is_the_angle_between_vectors():
    weight = normal(6, 3, 2, 2, seed=1)
    ones = torch.ones(1, 12, dtype=torch.float64)
    cosine = torch.nn.functional.cosine_similarity(weight.flatten(1), ones)
    assert_close(theory.cos2(weight), cosine.square(), rtol=1e-12)
    assert_close(theory.d_cos2(weight), 12 * cosine.square(), rtol=1e-12)
    assert_close(theory.cos2(weight * 1e-180), cosine.square(), rtol=1e-12)
    assert theory.cos2(weight.float()).dtype == torch.float64


def test_a_filter_without_direction_has_no_angle():
    values = theory.cos2(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    assert values.isnan().tolist() == [True, False]
    assert theory.cos2_cdf(values, 9).isnan().tolist() == [True, False]
    assert theory.cos2_pdf(values, 9).isnan().tolist() == [True, False]


@pytest.mark.parametrize("d", [2, 27, 4608])
def test_null_band_holds_its_share(d):
    low, high = theory.null_band(d, 0.9)
    assert beta_cdf(high / d, d) - beta_cdf(low / d, d) == pytest.approx(0.9, rel=1e-10)
    assert beta_cdf(low / d, d) == pytest.approx(0.05, rel=1e-10)


def test_the_band_of_a_mean_narrows_with_the_root_of_the_filters():
    one = theory.null_band_of_mean(576, 1)
    many = theory.null_band_of_mean(576, 100)
    assert (one[1] - one[0]) == pytest.approx(10 * (many[1] - many[0]), rel=1e-12)
    assert (many[0] + many[1]) / 2 == pytest.approx(1, rel=1e-12)


def test_errors():
    x = torch.tensor([0.5])
    for d in (1, 0, 2.5):
        with pytest.raises(UsageError, match=r"d is .*; pass a whole number, 2 or more"):
            theory.cos2_cdf(x, d)
    with pytest.raises(UsageError, match=r"value has entries outside \[0, 1\]"):
        theory.cos2_pdf(x + 1, 9)
    with pytest.raises(UsageError, match="theta has entries outside"):
        theory.angle_pdf(x - 1, 9)
    with pytest.raises(UsageError, match="probability is 2"):
        theory.cos2_quantile(2, 9)
    with pytest.raises(UsageError, match="level is 1"):
        theory.null_band(9, 1.0)
    with pytest.raises(UsageError, match="filters is 0"):
        theory.null_band_of_mean(9, 0)
    with pytest.raises(UsageError, match="pass filters"):
        theory.cos2(torch.ones(3))


@pytest.mark.parametrize("d", [10**9, 10**16, 10**23, 10**300])
def test_the_band_of_wide_filters_is_that_of_a_squared_normal(d):
    # d·cos²θ tends to z², the square of a normal value, and is off from it by O(1/d) alone.
    expected = [stats.chi2(1).ppf(tail) for tail in (0.025, 0.975)]
    assert theory.null_band(d, 0.95) == pytest.approx(expected, rel=10 / d + 1e-12)


@pytest.mark.parametrize("d", [math.inf, math.nan, 10**400, 2.5, -(10**300)])
def test_a_width_that_has_no_angle_is_refused(d):
    with pytest.raises(UsageError, match="pass a whole number"):
        theory.null_band(d)
