"""Draws that become Python numbers: the operation that is given the number shows the route."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

import varshift as vs


class Decides(nn.Module):
    """A convolution, what a function does in training, a norm."""

    def __init__(self, acts, always=False):
        super().__init__()
        self.acts, self.always = acts, always
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)

    def forward(self, x):
        y = self.conv(x)
        return self.norm(self.acts(y) if self.training or self.always else y)


def inspected(acts, **options):
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    return vs.inspect(Decides(acts, **options), torch.randn(4, 3, 12, 12))


def mixed_by_numpy(y):
    share = np.random.beta(1.0, 1.0)
    return share * y + (1 - share) * y.flip(0)


def mixed_by_python(y):
    return torch.lerp(y, y.flip(0), random.betavariate(1.0, 1.0))


def cropped(y):
    top, left = random.randrange(4), random.randrange(4)
    return y[:, :, top : top + 6, left : left + 6]


def pasted(y):
    top = np.random.randint(0, 5)
    y = y.clone()
    y[:, :, top : top + 4] = y.flip(0)[:, :, top : top + 4]
    return y


def erased(y):
    top = random.randrange(5)
    y = y.clone()
    y[:, :, top : top + 4].zero_()
    return y


def rolled(y):
    return torch.roll(y, int(torch.randint(8, ())), 2) * torch.rand(()).item()


@pytest.mark.parametrize(
    ("acts", "names"),
    [
        (mixed_by_numpy, ["(numpy random)"]),
        (mixed_by_python, ["(python random)"]),
        (cropped, ["(python random)"]),
        (pasted, ["(numpy random)"]),
        (erased, ["(python random)"]),
        (rolled, ["(model)", "(model)#2"]),
    ],
)
def test_a_number_that_was_drawn_has_a_route(acts, names):
    s = inspected(acts)
    assert sorted((r.noise, r.norm, r.placement) for r in s.routes) == [
        (name, "norm", "a") for name in names
    ]
    assert all(s.prove(route).answer is True for route in s.routes)
    assert all(noise.law == "control-flow" for noise in s.noises)


def test_a_number_behind_a_layer_is_placement_b():
    class Behind(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.norm = nn.Linear(8, 8), nn.BatchNorm1d(8)

        def forward(self, x):
            return self.norm(self.linear(x * random.random() if self.training else x))

    s = vs.inspect(Behind(), torch.randn(4, 8))
    assert [(r.noise, r.placement) for r in s.routes] == [("(python random)", "b")]


def test_a_number_that_evaluation_is_given_too_is_no_route():
    s = inspected(mixed_by_numpy, always=True)
    assert s.routes == ()


def test_a_number_that_decides_what_runs_is_noted_and_not_followed():
    def skipped(y):
        return y.relu() if random.random() < 0.5 else y

    s = inspected(skipped)
    assert [noise.law for noise in s.noises] == ["control-flow"]
    assert s.routes == ()


def test_a_number_that_acts_on_no_norm_is_no_route():
    def counted(y):
        torch.zeros(random.randrange(5) + 1).sum()
        return y

    assert inspected(counted).routes == ()
