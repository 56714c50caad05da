"""Planted causes get the right verdict; the benchmark has twenty seeds of each."""

from __future__ import annotations

import math

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


def test_causes_too_small_for_a_verdict_are_not_nothing_where_they_add_up():
    """Batches of two kinds make 1.14 of the variance, age 1.17: half logs of 0.066 and 0.079."""
    torch.manual_seed(0)
    half = [torch.randn(2048, 4, dtype=torch.float64) for _ in range(4)]
    data = [sign * math.sqrt(0.14) + x for x in half for sign in (1, -1)]
    norm = nn.BatchNorm1d(4, momentum=0.01).double()
    norm.running_var = torch.stack([x.var(0) for x in data]).mean(0) / 1.17
    norm.running_mean, norm.num_batches_tracked = torch.cat(data).mean(0), torch.tensor(1000)
    x = vs.explain(norm, data)
    assert x.verdict == "none"
    off = 0.5 * math.log(1.14 * 1.17)
    (site,) = x.factors.values()
    assert site.off.value == pytest.approx(off, abs=0.03)  # sampling taken off
    assert "all together do" in x.reason
    assert "Nothing to see" not in x.reason
    text = str(vs.diagnose(norm, data))
    assert text.startswith("Stored statistics are off")
    assert "No shift" not in text
