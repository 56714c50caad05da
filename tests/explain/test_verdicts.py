"""Planted causes get the right verdict; the benchmark has twenty seeds of each."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs
from problems.causes import CAUSES, planted


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("cause", CAUSES)
def test_planted_causes_are_found(cause, seed):
    net, train, test = planted(cause, seed)
    x = vs.explain(net, train, test_data=test, max_samples=1020)
    assert x.verdict == cause
    assert x.reason
    if cause != "none":
        assert x.scores[cause] > 2 * max(v for k, v in x.scores.items() if k != cause)
        assert x.worst[cause] in x.factors


def test_noise_is_blamed_on_a_line_of_code():
    net, train, _ = planted("noise", 3)
    x = vs.explain(net, train)
    assert "noisy" not in x.reason
    assert "% of its training variance" in x.reason


class Reused(nn.Module):
    """One norm for two places whose statistics differ."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.second = nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Linear(16, 16)

    def forward(self, x):
        return self.norm(5 * self.second(self.norm(self.first(x)).relu()))


def test_a_reused_norm_is_not_told_to_use_larger_batches():
    net, data = Reused(), [torch.randn(256, 8) for _ in range(8)]
    with torch.no_grad():
        for batch in data * 4:
            net(batch)
    x = vs.explain(net, data)
    assert x.verdict == "small-batch"
    assert "'norm' runs 2 times a pass" in x.reason
    assert "larger batches" not in x.reason


def test_a_single_sample_makes_nothing_sure():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.5), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    x = vs.explain(net, [torch.randn(1, 3, 16, 16)])
    assert x.verdict == "none"
    assert "too few batches" in x.reason
