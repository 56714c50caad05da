"""Noise whose mean is not one: what evaluation has in its place, with data and without."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs

C = torch.tensor([0.0, 0.5, -1.0, 2.0, 0.1], dtype=torch.float64)
V = torch.tensor([1.0, 2.0, 0.3, 1.0, 4.0], dtype=torch.float64)
KEEP = 0.7
TAU = 0.3 / 0.7
UNLIKE = 9 * torch.randn(16, 5, generator=torch.Generator().manual_seed(1)) + 30


class Masked(nn.Module):
    """x·ξ in training with ξ 0 or 1, and `test`·x in evaluation."""

    def __init__(self, test=1.0):
        super().__init__()
        self.test = test

    def forward(self, x):
        return x * (torch.rand_like(x) < KEEP) if self.training else self.test * x


def trained(test=1.0):
    """A norm behind it that has stored exactly what training gives."""
    net = nn.Sequential(Masked(test), nn.BatchNorm1d(5)).double()
    net[1].running_mean.copy_(KEEP * C)
    net[1].running_var.copy_(KEEP**2 * (V + TAU * (C**2 + V)))
    return net


@pytest.mark.parametrize("test", [1.0, KEEP], ids=["left out", "its mean"])
def test_a_checkpoint_and_an_unlike_example_give_the_law(test):
    site = vs.predict(trained(test), example=UNLIKE.double())["1"]
    expected = test**2 * V / (KEEP**2 * (V + TAU * (C**2 + V)))
    assert site.how == "inverted"
    torch.testing.assert_close(site.delta, expected, rtol=1e-6, atol=0)
    assert site.low < site.shift < site.high
    torch.testing.assert_close(site.var_test, test**2 * V, rtol=1e-6, atol=0)


def test_it_is_said_whose_mean_it_is():
    said = [n for n in vs.predict(trained(), example=UNLIKE.double()).notes if "evaluation" in n]
    assert said == [
        "'0': the noise does not multiply by 1 on average, and evaluation has another mean; by how "
        "much that moves the variance was seen on the example"
    ]
    quiet = vs.predict(trained(KEEP), example=UNLIKE.double())
    assert not [note for note in quiet.notes if "on average" in note]


def data():
    torch.manual_seed(0)
    return [C + V.sqrt() * torch.randn(512, 5, dtype=torch.float64) for _ in range(8)]


@pytest.mark.parametrize("blind", [True, False], ids=["checkpoint", "data"])
@pytest.mark.parametrize("test", [1.0, KEEP], ids=["left out", "its mean"])
def test_another_noise_in_its_place_has_a_mean_of_its_own(test, blind):
    """Dropout of 0.1 where the mask was: its mean is one, of what evaluation has there."""
    net, asked = trained(test), {"0": 0.1}
    f = (
        vs.predict(net, example=UNLIKE.double(), noise=asked)
        if blind
        else vs.predict(net, data(), noise=asked)
    )
    expected = V / (V + (C**2 + V) / 9)
    # With data both variances are those of the samples, 4,096 of them.
    torch.testing.assert_close(f["1"].delta, expected, rtol=1e-6 if blind else 0.02, atol=0)


class Always(nn.Module):
    """Dropout in evaluation as in training, as those have it who average many passes."""

    def forward(self, x):
        return nn.functional.dropout(x, 0.4, training=True)


@pytest.mark.parametrize("more", [0.0, 0.25])
def test_noise_that_evaluation_draws_too_shifts_nothing(more):
    net = nn.Sequential(Always(), nn.Dropout(more), nn.BatchNorm1d(5)).double()
    both = (1 + 0.4 / 0.6) * (1 + more / (1 - more)) - 1
    net[2].running_mean.copy_(C)
    net[2].running_var.copy_(V + both * (C**2 + V))
    f = vs.predict(net, example=UNLIKE.double())
    if more:  # two noises on top of each other follow no closed form
        assert "on top" in f.skipped["2"] or "2" in f.sites
        return
    torch.testing.assert_close(f["2"].delta, torch.ones_like(V), rtol=1e-9, atol=0)
    assert f["2"].grade == "none"
    assert "'0': evaluation draws too, so the noise is counted in both" in f.notes


def test_beside_noise_that_lasts_the_other_is_what_shifts():
    class Two(nn.Module):
        """A constant mask on each half of the channels: one of them goes off in evaluation."""

        def __init__(self):
            super().__init__()
            self.always, self.drop, self.norm = Always(), nn.Dropout(0.4), nn.BatchNorm1d(10)

        def forward(self, x):
            return self.norm(torch.cat([self.always(x), self.drop(x)], 1))

    net, tau = Two().double(), 0.4 / 0.6
    net.norm.running_mean.copy_(torch.cat([C, C]))
    net.norm.running_var.copy_(torch.cat([V + tau * (C**2 + V)] * 2))
    site = vs.predict(net, example=UNLIKE.double())["norm"]
    torch.testing.assert_close(site.delta[:5], torch.ones_like(V), rtol=1e-6, atol=0)
    torch.testing.assert_close(site.delta[5:], V / (V + tau * (C**2 + V)), rtol=1e-6, atol=0)
