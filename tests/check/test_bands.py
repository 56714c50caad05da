"""A band holds its severity, and shifts that go both ways are seen."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._check.bands import least_of


def scaled(channels=65, **norm):
    """Rows of 0.3 to 10 times what they were: some channels shrink, most grow."""
    net = nn.Sequential(nn.Linear(15, channels), nn.BatchNorm1d(channels, **norm))
    with torch.no_grad():
        net[0].weight.mul_(torch.logspace(-0.5, 1.0, channels)[:, None])
    return net


def test_statistics_that_are_off_both_ways():
    x = torch.randn(1024, 15)
    net = scaled(momentum=0.0)
    (f,) = vs.check(net, x)
    ratio = net[0](x).var(0).detach()
    assert f.code == "VS201"
    assert f.severity == pytest.approx(float(torch.maximum(ratio, 1 / ratio).median()), rel=0.01)
    assert 1.1 < f.low < f.severity <= f.high
    frozen = scaled()
    frozen[1].eval()
    for code, model in (("VS204", frozen), ("VS206", half_and_half())):
        (f,) = vs.check(model, data=list(x.split(256)))
        assert f.code == code
        assert f.low <= f.severity <= f.high


def half_and_half():
    """Trained once, and since then half of the channels four times and half a quarter as wide."""
    net = scaled(64)
    with torch.no_grad():
        for _ in range(100):
            net(torch.randn(256, 15))
        net[1].running_var[::2].mul_(4)
        net[1].running_var[1::2].div_(4)
    return net


class BothWays(nn.Module):
    """Noise doubles the variance of half of the channels and halves that of the others."""

    def __init__(self):
        super().__init__()
        self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(8)

    def forward(self, x):
        one, other = x.chunk(2, 1)
        if self.training:  # chances from data: no law is read off such a draw
            other = other * torch.bernoulli(0.5 + 0.0 * other)
        return self.norm(torch.cat([self.drop(one), other], 1))


@pytest.mark.parametrize("real", [True, False])
def test_noise_that_shifts_half_up_and_half_down(real):
    x = torch.randn(2048, 8)
    (f,) = vs.check(BothWays(), data=list(x.split(256))) if real else vs.check(BothWays(), x)
    assert f.severity == pytest.approx(2.0, rel=0.1)
    assert 1.5 < f.low <= f.severity <= f.high


class HalfDropped(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(8)

    def forward(self, x):
        one, other = x.chunk(2, 1)
        return self.norm(torch.cat([self.drop(one), other], 1))


def test_a_severity_lies_in_its_band():
    """Half of the channels at Δ = 0.5, half at 1: median Δ 0.75, median severity 1.5."""
    (f,) = vs.check(HalfDropped(), torch.randn(1024, 8))
    assert f.low <= f.severity <= f.high


def test_scatter_of_the_sampling_is_no_shift():
    generator = torch.Generator().manual_seed(0)
    error = torch.full((400,), 0.1)
    ratio = 1 + error * torch.randn(400, generator=generator)
    assert least_of(ratio, 2 * error) == 1.0
    assert least_of(torch.cat([2 * ratio, ratio / 2]), 2 * error.repeat(2)) > 1.3
    assert least_of(torch.full((3,), torch.nan), error[:3]) == 1.0
    assert least_of(torch.tensor([3.0]), torch.tensor([torch.nan])) == 1.0
    net = nn.Sequential(nn.Linear(8, 64), nn.BatchNorm1d(64))
    data = [torch.randn(64, 8) for _ in range(4)]
    with torch.no_grad():
        for _ in range(100):
            net(torch.randn(64, 8))
    assert len(vs.check(net, data=data)) == 0
