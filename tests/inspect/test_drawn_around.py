"""Noise that one operation draws around its input, or with chances taken from it."""

from __future__ import annotations

import torch
from torch import nn

import varshift as vs


class Made(nn.Module):
    def __init__(self, noise):
        super().__init__()
        self.noise, self.linear, self.norm = noise, nn.Linear(6, 6), nn.BatchNorm1d(6)

    def forward(self, x):
        return self.norm(self.linear(self.noise(x)))


def found(noise):
    (source,) = vs.inspect(Made(noise), torch.rand(8, 6)).noises
    return source.law, source.sharing, source.drop_p, source.tau


def test_a_normal_draw_around_data_is_added_to_every_value():
    assert found(lambda x: torch.normal(x, 0.1)) == ("additive", "element", None, None)


def test_a_draw_with_chances_from_data_is_nothing_that_has_a_rate():
    law, sharing, drop_p, tau = found(torch.bernoulli)
    assert law not in ("additive", "bernoulli")
    assert (sharing, drop_p, tau) == ("other", None, None)


def test_with_nothing_between_it_reaches_the_norm_at_placement_a():
    net = Made(lambda x: torch.normal(x, 0.1))
    (behind,) = vs.inspect(net, torch.rand(8, 6)).routes
    net.linear = nn.Identity()
    (direct,) = vs.inspect(net, torch.rand(8, 6)).routes
    assert (direct.placement, behind.placement) == ("a", "b")
    (fused,) = vs.inspect(nn.Sequential(nn.RReLU(), nn.BatchNorm1d(6)), torch.rand(8, 6)).routes
    assert fused.placement == "a"
