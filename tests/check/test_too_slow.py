"""VS202 from the checkpoint alone: channels that are dead or low do not silence the others."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs
from problems.settling import settled
from varshift._check.staleness import left_over


def trained(dead):
    x = 2 * torch.randn(64, 4)
    x[:, :dead] = 0.0
    return settled(nn.Sequential(nn.BatchNorm1d(4, momentum=0.01)), [x], 90), x


def test_a_dead_channel_below_its_own_share_by_rounding():
    net, x = trained(1)
    net[0].running_var[0] = 0.99**90 * (1 - 6e-6)  # as met with other momenta, in float32
    (f,) = vs.check(net, x)
    assert f.code == "VS202"
    ratio = (x.var(0) / net[0].running_var)[1:]
    assert f.severity == pytest.approx(float(torch.maximum(ratio, 1 / ratio).median()), rel=1e-3)


def test_most_channels_decide_whether_it_started_at_one():
    weight = 0.99**90
    stored = torch.tensor([0.1, 0.1, 2.0, 2.0, 2.0], dtype=torch.float64)
    found = left_over(stored, 0.01, 90)
    assert found.shift == pytest.approx((2 - weight) / (1 - weight) / 2)
    assert left_over(stored.flip(0)[2:], 0.01, 90) is None
