"""Masks as people write them: what is told of their law and sharing, against their own values."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Normal, Uniform
from torch.nn import functional as F

import varshift as vs


def filled(x):
    mask = torch.ones_like(x)
    mask[torch.rand_like(x) < 0.3] = 0.0
    return mask


# By how they are made: a mask as wide as x, and whether the law can be told.
MASKS = {
    "dropout of ones": lambda x: F.dropout(torch.ones_like(x), 0.3, True),
    "numbers in a tensor": lambda x: torch.full_like(x, 2.0) * torch.rand_like(x),
    "chances in a tensor": lambda x: torch.bernoulli(torch.full_like(x, 0.7)),
    "a distribution": lambda x: Bernoulli(torch.full_like(x, 0.7)).sample(),
    "a uniform distribution": lambda x: Uniform(
        torch.full_like(x, 0.5), torch.full_like(x, 1.5)
    ).sample(),
    "a normal distribution": lambda x: Normal(
        torch.full_like(x, 1.0), torch.full_like(x, 0.5)
    ).sample(),
    "normal around a tensor": lambda x: torch.normal(torch.full_like(x, 2.0), 0.5),
    "normal as wide as a tensor": lambda x: torch.normal(1.0, torch.full_like(x, 0.5)),
    "normal of two numbers": lambda x: torch.normal(1.0, 0.5, size=x.shape),
    "two whole numbers": lambda x: torch.randint(0, 2, x.shape),
    "two other whole numbers": lambda x: torch.randint_like(x, 1, 3),
    "below a tensor": lambda x: torch.rand_like(x) < torch.full_like(x, 0.7),
    "is one": lambda x: torch.empty_like(x).bernoulli_(0.7) == 1,
    "is not zero": lambda x: torch.empty_like(x).bernoulli_(0.7).mul(3).ne(0) / 0.7,
    "above a half": lambda x: (torch.empty_like(x).bernoulli_(0.7) > 0.5).to(x.dtype) / 0.7,
    "cut to whole": lambda x: (torch.rand_like(x) + 0.7).int(),
    "cut to bytes": lambda x: (0.7 + torch.rand_like(x)).byte(),
    "truncated": lambda x: (torch.rand_like(x) + 0.7).trunc(),
    "rounded": lambda x: (torch.rand_like(x) + 0.2).round(),
    "the next whole": lambda x: (torch.rand_like(x) - 0.3).ceil(),
    "signs": lambda x: 1 + 0.5 * torch.sign(torch.rand_like(x) - 0.3),
    "signs of a normal": lambda x: 1 + 0.5 * torch.sign(torch.randn_like(x)),
    "chosen": lambda x: torch.where(torch.rand_like(x) < 0.3, 0.0, 1 / 0.7),
    "chosen from tensors": lambda x: torch.where(
        torch.rand_like(x) < 0.3, torch.zeros_like(x), torch.ones_like(x)
    ),
    "filled": lambda x: torch.ones_like(x).masked_fill(torch.rand_like(x) < 0.3, 0.0),
    "filled in place": lambda x: torch.full_like(x, 1.5).masked_fill_(torch.rand_like(x) < 0.3, 0),
    "filled by index": filled,
    "copied": lambda x: torch.zeros_like(x).copy_(torch.empty_like(x).bernoulli_(0.7)),
    "two beside each other": lambda x: torch.cat([m := torch.rand_like(x[::2]) < 0.7, m]),
}
UNKNOWN = {
    "chances of their own": lambda x: torch.rand_like(x) < torch.linspace(0.1, 0.9, x.shape[1]),
    "two draws": lambda x: (torch.rand_like(x) < 0.5) & (torch.rand_like(x) < 0.5),
    "an exponential": lambda x: torch.exp(0.2 * torch.randn_like(x)),
    "three whole numbers": lambda x: torch.randint(0, 3, x.shape),
    "between ends": lambda x: torch.rand_like(x).clamp(0.3, 0.8),
    "in place of ones": lambda x: torch.ones_like(x).mul_(torch.empty_like(x).bernoulli_(0.7)),
    "a floored quotient": lambda x: torch.div(torch.rand_like(x), 0.5, rounding_mode="floor"),
    "rounded to tenths": lambda x: torch.rand_like(x).round(decimals=1),
    "not, bit by bit": lambda x: ~(torch.rand_like(x) < 0.3).int(),
}


class Masked(nn.Module):
    def __init__(self, mask):
        super().__init__()
        self.mask = mask

    def forward(self, x):
        return x * self.mask(x)


def told(mask, x):
    net = nn.Sequential(nn.Linear(8, 8), Masked(mask), nn.Linear(8, 4), nn.BatchNorm1d(4))
    return [noise for noise in vs.inspect(net, x).noises if noise.path == "1"]


@pytest.mark.parametrize("name", MASKS)
def test_a_law_that_is_told_is_that_of_the_masks_values(name):
    torch.manual_seed(0)
    (noise,) = told(MASKS[name], torch.randn(128, 8))
    values = MASKS[name](torch.empty(12_800, 8)).double()
    assert noise.law in ("bernoulli", "uniform", "gaussian")
    if noise.drop_p is None:
        assert not (values == 0).any()
    else:
        se = math.sqrt(0.25 / values.numel())
        assert (values == 0).double().mean() == pytest.approx(noise.drop_p, abs=6 * se)
    # Of the relative variance of 102,400 values, none of whose fourth moments is large.
    measured = float(values.var() / values.mean() ** 2)
    assert measured == pytest.approx(noise.tau, rel=0.04)


@pytest.mark.parametrize("name", UNKNOWN)
def test_no_law_is_guessed(name):
    torch.manual_seed(0)
    for noise in told(UNKNOWN[name], torch.randn(128, 8)):
        assert (noise.law, noise.tau) == ("unknown", None)


def by_channel(x):
    return torch.empty(*x.shape[:2], 1, 1).bernoulli_(0.7)


def wide(x, mask):
    return mask.expand_as(x)


SPREAD = {
    "broadcast": lambda x, m: m,
    "expanded": wide,
    "expanded and copied": lambda x, m: wide(x, m).contiguous(),
    "copied and scaled": lambda x, m: wide(x, m).clone().div_(0.7),
    "repeated": lambda x, m: m.repeat(1, 1, *x.shape[2:]),
    "times ones": lambda x, m: m * torch.ones_like(x),
    "plus zeros": lambda x, m: m + torch.zeros_like(x),
    "added in place": lambda x, m: torch.zeros_like(x).add_(m),
    "set side by side": lambda x, m: torch.cat([m] * x.shape[2], 2),
    "repeated one by one": lambda x, m: m.repeat_interleave(x.shape[2], 2),
    "enlarged": lambda x, m: F.interpolate(m, size=x.shape[2:]),
    "another type": lambda x, m: wide(x, m.bool()).float(),
    "chosen": lambda x, m: torch.where(wide(x, m) > 0, 1.0, 0.0),
    "multiplied out": lambda x, m: torch.einsum("bcij,bchw->bchw", m, torch.ones_like(x)),
}


@pytest.mark.parametrize("name", SPREAD)
@pytest.mark.parametrize("sharing", ["channel", "sample"])
def test_a_mask_that_was_spread_over_the_data_is_shared_still(name, sharing):
    def mask(x):
        drawn = by_channel(x if sharing == "channel" else x[:, :1])
        return SPREAD[name](x, drawn.expand(*x.shape[:2], 1, 1))

    torch.manual_seed(1)
    net = nn.Sequential(Masked(mask), nn.Conv2d(6, 4, 1), nn.BatchNorm2d(4))
    (noise,) = vs.inspect(net, torch.randn(8, 6, 5, 5)).noises
    assert noise.sharing == sharing


def test_few_values_that_are_alike_by_chance_are_not_shared():
    def mask(x):
        return torch.ones_like(x) * (torch.rand_like(x) < 0.999)

    net = nn.Sequential(Masked(mask), nn.Linear(8, 4), nn.BatchNorm1d(4))
    torch.manual_seed(3)
    (noise,) = vs.inspect(net, torch.randn(2, 8)).noises
    assert noise.sharing == "element"
