"""Channels that hardly vary, or have stored that they do not: what counts is what the norm does."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn

import varshift as vs

WIDTH = 16


class Masked(nn.Module):
    """A fixed mask in training alone, on the first `zeros` channels 0 and on the others 2."""

    def __init__(self, zeros: int):
        super().__init__()
        self.register_buffer("mask", torch.tensor([0.0] * zeros + [2.0] * (WIDTH - zeros)))

    def forward(self, x):
        return x * self.mask if self.training else x


def settled(*before: nn.Module):
    """Weights, `before`, a norm and weights; its statistics are those of the data."""
    net = nn.Sequential(
        nn.Linear(WIDTH, WIDTH), *before, nn.BatchNorm1d(WIDTH), nn.Linear(WIDTH, 3)
    )
    data = list(torch.randn(16, 64, WIDTH))
    with torch.no_grad():
        for batch in data * 10:
            net(batch)
    return net, data


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("scale", [1e-4, 1e-6, 1e-8])
def test_a_channel_far_below_eps_moves_what_the_norm_passes_on_by_what_it_does(scale):
    """Weight decay leaves such channels; a mean that moves by 1e-4 moves the output by 0.03."""
    net, data = settled()
    with torch.no_grad():
        net[0].weight[0] *= scale
        net[0].bias[0] = 0
        for batch in data * 20:
            net(batch)
        x = torch.cat(data)
        net.eval()
        before = net[:2](x)
        net[0].bias[0] = 1e-4
        moved = (net[:2](x) - before).square().mean(0).mean().sqrt()
        net.train()
    found = vs.explain(net, data)
    assert found.verdict == "none"
    assert found.factors["1"].displacement["staleness"] <= 2 * moved < 0.02


@pytest.mark.parametrize("stored", [0.0, 1e-12])
@pytest.mark.parametrize("zeros", [1, 4, 10, WIDTH])
def test_a_stored_variance_of_0_where_something_arrives_is_stale(zeros, stored):
    """Half the log of (v + eps) ÷ eps in each of these channels; means are as stored."""
    net, data = settled()
    norm = net[1]
    norm.running_var[:zeros] = stored
    found = vs.explain(net, data)
    site = found.factors["1"]
    v = torch.cat([net[0](batch) for batch in data]).var(0)[:zeros].detach()
    expected = float((((v + norm.eps) / norm.eps).log() / 2).square().sum() / WIDTH) ** 0.5
    assert found.verdict == "staleness"
    assert site.displacement["staleness"] == pytest.approx(expected, rel=0.02)
    if not stored:
        assert site.live.tolist() == [False] * zeros + [True] * (WIDTH - zeros)
        assert site.channels["staleness"][:zeros].isinf().all()
        assert math.isinf(site.total) == (zeros == WIDTH)


@pytest.mark.parametrize("stored", [0.0, 1e-12])
@pytest.mark.parametrize("zeros", [4, 10, WIDTH])
def test_a_diagnosis_calls_it_severe_and_taking_them_anew_helps(zeros, stored):
    net, data = settled()
    net[1].running_var[:zeros] = stored
    found = vs.diagnose(net, data)
    assert (found.verdict, found.worst[0].grade) == ("staleness", "severe")
    assert found.advice[0].kind == "recalibrate"
    with vs.recalibrate(net, data):
        assert vs.diagnose(net, data).verdict == "none"


@pytest.mark.parametrize("zeros", [1, 4, 10, WIDTH])
def test_check_reports_it(zeros):
    net, data = settled()
    norm = net[1]
    norm.running_var[:zeros] = 0
    (finding,) = vs.check(net, data=data)
    within = torch.stack([net[0](batch).var(0) for batch in data]).mean(0).detach()
    logs = ((within + norm.eps) / (norm.running_var + norm.eps)).log()
    ratio = within / torch.where(norm.running_var > 0, norm.running_var, norm.eps)
    median = float(torch.maximum(ratio, 1 / ratio).quantile(0.5))
    overall = math.exp(float(logs.square().mean().sqrt()))
    assert finding.code == "VS206"
    assert finding.severity == pytest.approx(max(median, overall), rel=1e-4)
    assert f"where {zeros} channel" in finding.message


def test_check_leaves_channels_alone_whose_variance_is_far_below_eps():
    net, data = settled()
    with torch.no_grad():
        net[0].weight[:4] *= 1e-8
        net[0].bias[:4] = 0
    net[1].running_mean[:4], net[1].running_var[:4] = 0, 1e-25
    assert not vs.check(net, data=data)


def test_where_training_keeps_most_channels_constant_the_shift_has_no_bound():
    for zeros, shift in ((4, 0.25), (8, math.inf), (10, math.inf)):
        net, data = settled(Masked(zeros))
        assert vs.measure(net, data).sites["2"].shift == pytest.approx(shift, rel=1e-6)
        found = vs.explain(net, data)
        assert found.verdict == "noise"
        assert found.factors["2"].noise == pytest.approx(0.25, rel=1e-6)  # of live channels
        assert found.factors["2"].channels["noise"].isinf().tolist()[:zeros] == [True] * zeros


@pytest.mark.parametrize("before", [lambda: Masked(WIDTH), lambda: nn.Dropout(1.0)])
def test_where_training_lets_nothing_through_there_is_a_verdict(before):
    net, data = settled(before())
    assert vs.explain(net, data).verdict == "unattributed"
    found = vs.diagnose(net, data)
    assert (found.verdict, found.worst[0].grade) == ("unattributed", "severe")


@pytest.mark.parametrize("verb", ["measure", "explain", "predict", "diagnose"])
@pytest.mark.parametrize("zeros", [4, 10, WIDTH])
def test_json_is_strict(verb, zeros):
    net, data = settled(Masked(zeros))
    net[2].running_var[:2] = 0
    made = getattr(vs, verb)(net, data).to_dict()
    assert json.loads(json.dumps(made, allow_nan=False)) == made
