"""The noise layers: their law, their conventions, and that the rest of the house reads them."""

from __future__ import annotations

import pytest
import torch

import varshift as vs


@pytest.mark.parametrize(
    ("layer", "tau"), [(vs.nn.Uout(0.6), 0.12), (vs.nn.GaussianDropout(0.5), 0.25)]
)
def test_mean_one_and_the_relative_variance_it_says(layer, tau):
    torch.manual_seed(0)
    noise = layer.train()(torch.ones(1_000_000, dtype=torch.float64))
    # Standard error of the mean √τ/1000, of the variance at most √2·τ/1000.
    assert float(noise.mean()) == pytest.approx(1, abs=5 * tau**0.5 / 1000)
    assert float(noise.var()) == pytest.approx(tau, abs=5 * 2**0.5 * tau / 1000)
    structure = vs.inspect(torch.nn.Sequential(layer, torch.nn.BatchNorm1d(3)), torch.randn(4, 3))
    (found,) = structure.noises
    assert found.tau == pytest.approx(tau)
    assert found.sharing == "element"
    assert structure.routes[0].placement == "a"


@pytest.mark.parametrize("make", [vs.nn.Uout, vs.nn.GaussianDropout])
def test_torchs_conventions(make):
    x = torch.randn(5, 3)
    assert make(0.5).eval()(x) is x
    assert make(0.0).train()(x) is x
    y = x.clone()
    assert make(0.5, inplace=True).train()(y) is y
    assert not torch.equal(x, y)
    x.requires_grad_()
    noisy = make(0.5).train()(x)
    noisy.sum().backward()
    torch.testing.assert_close(x.grad * x.detach(), noisy.detach())
    with pytest.raises(vs.UsageError, match="pass a number"):
        make(-0.1).train()(x)


def test_uout_stops_at_one():
    with pytest.raises(vs.UsageError, match=r"beta is 1\.5; pass a number between 0 and 1"):
        vs.nn.Uout(1.5).train()(torch.ones(2))
    assert float(vs.nn.functional.uout(torch.ones(1000), 1.0).min()) >= 0
