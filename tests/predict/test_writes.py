"""Noise that is written into part of a tensor, or overwritten there, is drawn and says so."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs


class Written(nn.Module):
    """A step between a norm and a norm behind weights."""

    def __init__(self, step):
        super().__init__()
        self.first, self.noise = nn.BatchNorm1d(16, momentum=None), nn.Dropout(0.4)
        self.linear, self.last = nn.Linear(16, 16), nn.BatchNorm1d(16, momentum=None)
        self.step = step

    def forward(self, x):
        return self.last(self.linear(self.step(self.first(x), self.noise)))


def cut(x, noise):
    y = noise(x)
    y[:, :8] = 0
    return y


def scaled(x, noise):
    y = noise(x)
    y[:, :12].mul_(3.0)
    return y


def rectified(x, noise):
    y = noise(x)
    y.view(-1, 4, 4).relu_()
    return y


def noisier(x, noise):
    y = noise(x)
    y[:, :8] = noise(y[:, :8])
    return y


def half(x, noise):
    y = x.clone()
    y[:, :8] = noise(y[:, :8])
    return y


def indexed(x, noise):
    y = x.clone()
    if noise.training:
        y[torch.rand_like(y) < 0.4] = 0
        y = y / 0.6
    return y


def through_a_comparison(x, noise):
    return x * (noise(x) > 0)


STEPS = (cut, scaled, rectified, noisier, half, through_a_comparison)


def trained(step):
    net, data = Written(step), [torch.randn(256, 16) for _ in range(16)]
    with torch.no_grad():
        for batch in data * 2:
            net(batch)
    return net, data


def test_values_that_an_index_drops_are_followed_with_data_and_without():
    net, data = trained(indexed)
    site, found = vs.measure(net, data * 2).sites["last"], vs.predict(net, data).sites["last"]
    assert found.how == "law (b)"
    assert found.shift == pytest.approx(site.shift, abs=4 * site.shift_se)
    like = vs.predict(net, example=data[0])["last"]
    assert like.how == "moments"
    assert like.low <= site.shift <= like.high


@pytest.mark.parametrize("step", STEPS)
def test_what_is_written_into_a_part_is_drawn(step):
    net, data = trained(step)
    m, f = vs.measure(net, data * 2), vs.predict(net, data)
    site, found = m.sites["last"], f.sites["last"]
    assert found.how == "sampled"
    assert any("no closed form here" in note for note in f.notes)
    assert found.shift == pytest.approx(site.shift, abs=4 * site.shift_se + 0.02)
    like = vs.predict(net, example=data[0])["last"]
    assert like.how == "example"
    assert like.low <= site.shift <= like.high
    unlike = vs.predict(net, example=5 * data[0])
    assert "is followed no further than" in unlike.skipped["last"]


def test_a_belief_ends_where_a_part_is_written():
    def step(x, noise):
        x = x.relu()
        x[:, :8] = 0
        return noise(x)

    net, data = trained(step)
    assert vs.predict(net, example=data[0])["last"].how == "example"
    assert "followed no further" in vs.predict(net, example=5 * data[0]).skipped["last"]
