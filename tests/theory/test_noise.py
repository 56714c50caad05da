from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles import masks
from oracles.data import prop
from varshift import theory
from varshift.errors import UsageError

drop_ps = st.floats(0, 0.999)


@pytest.mark.parametrize(
    ("noise", "outcomes"),
    [
        (theory.dropout(0.3), masks.dropout(0.3)),
        (theory.gaussian(0.8), masks.gaussian(0.8)),
        (theory.uout(0.6), masks.uout(0.6)),
    ],
)
def test_tau_is_the_variance_of_the_factor_and_its_mean_is_one(noise, outcomes):
    mean = (outcomes.chances * outcomes.values).sum()
    var = (outcomes.chances * (outcomes.values - mean).square()).sum()
    assert mean.item() == pytest.approx(1, rel=1e-14)
    assert var.item() == pytest.approx(noise.tau, rel=1e-13)


@prop
@given(drop_ps)
def test_drop_p_there_and_back(drop_p):
    tau = theory.tau_of(drop_p)
    assert theory.drop_p_of(tau) == pytest.approx(drop_p, rel=1e-12, abs=1e-15)
    assert theory.keep_p_of(tau) == pytest.approx(1 - drop_p, rel=1e-12)
    assert theory.tau_of_keep_p(1 - drop_p) == pytest.approx(tau, rel=1e-10, abs=1e-15)


@prop
@given(st.floats(0, 100))
def test_sigma_there_and_back(sigma):
    assert theory.sigma_of(theory.tau_of_sigma(sigma)) == pytest.approx(
        sigma, rel=1e-12, abs=1e-150
    )


@prop
@given(st.floats(0, 1))
def test_beta_there_and_back(beta):
    back = theory.beta_of(theory.tau_of_beta(beta))
    assert back == pytest.approx(beta, rel=1e-12, abs=1e-150)
    assert back <= 1


@prop
@given(drop_ps, drop_ps)
def test_tau_rises_with_drop_p(a, b):
    low, high = sorted((a, b))
    assert theory.tau_of(low) <= theory.tau_of(high)


@pytest.mark.parametrize(
    ("beta", "drop_p"), [(0.1, 0.0033), (0.2, 0.013), (0.3, 0.029), (0.5, 0.077), (1.0, 0.25)]
)
def test_the_papers_uout_is_little_noise(beta, drop_p):
    assert theory.drop_p_of(theory.tau_of_beta(beta)) == pytest.approx(drop_p, rel=0.02)


@pytest.mark.parametrize("drop_p", [-0.1, 1.0, 1.5, float("nan"), float("inf")])
def test_drop_p_out_of_range(drop_p):
    with pytest.raises(UsageError, match=r"drop_p is .*; pass a probability in \[0, 1\)"):
        theory.dropout(drop_p)


@pytest.mark.parametrize("keep_p", [0.0, 1.1, float("nan")])
def test_keep_p_out_of_range(keep_p):
    with pytest.raises(UsageError, match="keep_p is"):
        theory.tau_of_keep_p(keep_p)


@pytest.mark.parametrize("tau", [-1e-9, float("nan"), float("inf")])
def test_tau_out_of_range(tau):
    for call in (theory.Noise, theory.drop_p_of, theory.keep_p_of, theory.sigma_of, theory.beta_of):
        with pytest.raises(UsageError, match=r"tau is .*; pass a finite number, 0 or more"):
            call(tau)


def test_sigma_and_beta_out_of_range():
    with pytest.raises(UsageError, match="sigma is -1"):
        theory.gaussian(-1)
    with pytest.raises(UsageError, match=r"beta is 1\.5; pass a number from 0 to 1"):
        theory.uout(1.5)


def test_no_uout_is_as_noisy_as_half_dropped():
    with pytest.raises(UsageError, match=r"beta = 1\.732.*drop_p = 0\.25.*gaussian\(sigma=1\)"):
        theory.beta_of(theory.tau_of(0.5))


def test_unknown_sharing():
    with pytest.raises(
        UsageError, match="sharing is 'pixel'; pass one of element, channel, sample"
    ):
        theory.dropout(0.5, "pixel")
