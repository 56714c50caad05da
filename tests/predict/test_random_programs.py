"""Wherever a law is told, of whatever is made of a noisy tensor, it is right.

Programs of random steps between a noise and a norm; what they draw is run many times, the number
fixed beforehand, and compared within five standard errors.
"""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn
from torch.nn import functional

import varshift as vs

PASSES = 400
STEPS = {
    "convolution": lambda s, u, v: s.conv(u),
    "by pixel": lambda s, u, v: s.pixel(u),
    "by channel": lambda s, u, v: s.depth(u),
    "scaled": lambda s, u, v: u * s.factor,
    "shifted": lambda s, u, v: u + s.factor,
    "negative": lambda s, u, v: 1 - u,
    "rectified": lambda s, u, v: u.relu(),
    "leaky": lambda s, u, v: functional.leaky_relu(u, 0.2),
    "sum": lambda s, u, v: u + v,
    "twice": lambda s, u, v: u + u,
    "square": lambda s, u, v: u * u,
    "product": lambda s, u, v: u * v,
    "beside": lambda s, u, v: s.two(torch.cat([u, v], 1)),
    "beside itself": lambda s, u, v: s.two(torch.cat([u, u], 1)),
    "average": lambda s, u, v: functional.avg_pool2d(u, 3, 1, 1),
    "largest": lambda s, u, v: functional.max_pool2d(u, 3, 1, 1),
    "mirrored": lambda s, u, v: u.flip(3),
    "rolled": lambda s, u, v: u.roll(1, 1),
    "turned": lambda s, u, v: u.transpose(2, 3),
    "channels as rows": lambda s, u, v: u.transpose(1, 2),
    "shuffled": lambda s, u, v: u.view(-1, 2, 2, 4, 4).transpose(1, 2).reshape(-1, 4, 4, 4),
    "cropped": lambda s, u, v: u[:, :, :2, :2].repeat(1, 1, 2, 2),
    "every other": lambda s, u, v: s.pixel(u[:, :, ::2, ::2]).repeat(1, 1, 2, 2),
    "a place": lambda s, u, v: s.flat(u[:, :, 1, 2])[:, :, None, None].expand(-1, -1, 4, 4),
    "pooled": lambda s, u, v: u.mean((2, 3), keepdim=True).squeeze(3).unsqueeze(3).expand(u.shape),
    "spread": lambda s, u, v: u[:, :1].expand(-1, 4, -1, -1),
    "centred": lambda s, u, v: u - u.mean((2, 3), keepdim=True),
}


class ByRow(nn.Module):
    def forward(self, x):
        if not self.training:
            return x
        return x * (torch.rand(len(x), 1, x.shape[2], 1, dtype=x.dtype) > 0.3) / 0.7


class ByIndex(nn.Module):
    def forward(self, x):
        x = x.clone()
        if self.training:
            x[torch.rand(x.shape) < 0.3] = 0.0
        return x


class Filled(nn.Module):
    def forward(self, x):
        if not self.training:
            return x
        mask = (torch.rand(x.shape, dtype=x.dtype) > 0.3) / 0.7
        return x * mask + 0.5 * (1 - mask)


NOISES = (lambda: nn.Dropout(0.3), lambda: nn.Dropout2d(0.3), ByRow, ByIndex, Filled)


class Program(nn.Module):
    """Four channels of 4 × 4, some steps, each of one or two of the tensors there are."""

    def __init__(self, seed):
        super().__init__()
        dice = random.Random(seed)
        self.noise = dice.choice(NOISES)()
        self.conv, self.pixel = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.depth, self.two = nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.Conv2d(8, 4, 1)
        self.flat = nn.Linear(4, 4)
        self.factor = nn.Parameter(torch.rand(4, 1, 1) + 0.5)
        self.steps = []
        for there in range(2, 2 + dice.randint(1, 4)):
            first = there - 1 if dice.random() < 0.8 else dice.randrange(there)
            self.steps.append((dice.choice(list(STEPS)), first, dice.randrange(there)))
        self.norm = nn.BatchNorm2d(4)

    def reach(self, x):
        held = [x, self.noise(x)]
        for name, first, second in self.steps:
            held.append(STEPS[name](self, held[first], held[second]))
        return held[-1]

    def forward(self, x):
        return self.norm(self.reach(x))


def told_by_law(seed):
    torch.manual_seed(seed)
    net = Program(seed).double()
    x = torch.randn(16, 4, 4, 4, dtype=torch.float64) + 0.5
    site = vs.predict(net, [x]).sites["norm"]
    return net, x, site if site.how.startswith("law") else None


@pytest.mark.parametrize("seed", range(240))
@torch.no_grad()
def test_a_law_that_is_told_is_what_the_noise_does(seed):
    net, x, site = told_by_law(seed)
    if site is None:
        return
    net.train()
    rows = torch.stack([net.reach(x).transpose(0, 1).flatten(1) for _ in range(PASSES)])
    mean = rows.mean((0, 2))
    squares = (rows - mean[:, None]).square().mean(2)  # of each pass, by channel
    count = rows.shape[2]
    error = squares.std(0) / PASSES**0.5
    truth = squares.mean(0)
    # The signal is unbiased, over the values of one batch.
    assert ((site.var_train - truth).abs() <= 5 * error + truth / (count - 1) + 1e-12).all(), (
        net.steps
    )


def test_many_of_them_have_a_law():
    assert sum(told_by_law(seed)[2] is not None for seed in range(240)) > 30
