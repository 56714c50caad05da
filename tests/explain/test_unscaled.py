"""Noise whose mean is not one is off where it is left out, and its mean is its own doing."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

import varshift as vs


class Noisy(nn.Module):
    """Noise written by hand in training, between weights, before a norm."""

    def __init__(self, noise):
        super().__init__()
        self.noise = noise
        self.first, self.next = nn.Linear(8, 16), nn.Linear(16, 16)
        self.norm, self.head = nn.BatchNorm1d(16, momentum=None), nn.Linear(16, 3)

    def forward(self, x):
        x = self.first(x).relu()
        return self.head(self.norm(self.next(self.noise(x) if self.training else x)))


def dropped(x):
    return x * (torch.rand_like(x) > 0.3)


def filled(x):
    return x.masked_fill(torch.rand_like(x) < 0.3, 0.0)


def scaled(x):
    return x * torch.exp(0.5 * torch.randn_like(x))


def shifted(x):
    return x + torch.rand_like(x)


def rarely_kept(x):
    return x * (torch.rand_like(x) > 0.7)


def scaled_before(x):
    return x / 0.7 * (torch.rand_like(x) > 0.3)


def settled(noise):
    torch.manual_seed(0)
    net = Noisy(noise).double()
    data = [torch.randn(64, 8, dtype=torch.float64) for _ in range(12)]
    return again(net, data), data


def again(net, data):
    net.norm.reset_running_stats()
    with torch.no_grad():
        for batch in data * 4:
            net.train()(batch)
    return net


def true_variances(net, data):
    """At the norm in training and in evaluation, by a plain hook."""
    other, found = copy.deepcopy(net), []
    for training, times in ((True, 40), (False, 1)):
        got = []
        hook = other.norm.register_forward_pre_hook(lambda module, x, got=got: got.append(x[0]))
        with torch.no_grad():
            for batch in data * times:
                other.train(training)(batch)
        hook.remove()
        found.append(torch.cat(got).var(0))
    return found


@pytest.mark.parametrize("noise", [dropped, filled, scaled, shifted])
def test_the_mean_is_the_source_s_own(noise):
    net, data = settled(noise)
    train, test = true_variances(net, data)
    x = vs.explain(net, data)
    assert x.blame.silenced == {"(model)": "exactly: it is left out, as in evaluation"}
    assert x.blame.rest["norm"] == vs.Figure(0.0, 0.0)
    share = x.blame["(model)", "norm"]
    assert share == pytest.approx(float(((train - test) / train).mean()), abs=5 * share.se + 0.01)
    assert x.verdict == "noise"
    assert "No draw explains it" not in x.reason


def test_the_reason_says_the_mean():
    x = vs.explain(*settled(dropped))
    assert x.blame.left_out == {"(model)": pytest.approx(0.7)}
    assert "multiplies by 0.7 on average and nothing rescales it" in x.reason
    assert "makes its training variance less by" in x.reason


def test_a_mean_that_is_brought_back_is_no_matter():
    x = vs.explain(*settled(scaled_before))
    assert (x.blame.left_out, x.blame.rest["norm"]) == ({}, vs.Figure(0.0, 0.0))


def test_beside_another_that_is_rescaled_it_alone_is_left_out():
    def both(x):
        return functional.dropout(scaled_before(x) * (torch.rand_like(x) > 0.2), 0.1)

    x = vs.explain(*settled(both))
    assert list(x.blame.left_out.values()) == [pytest.approx(0.8)]
    assert x.blame.rest["norm"] == vs.Figure(0.0, 0.0)


def test_what_is_advised_does_what_is_expected():
    net, data = settled(dropped)
    steps = {step.kind: step for step in vs.diagnose(net, data).advice}
    assert "find-draw" not in steps
    away = copy.deepcopy(net)
    away.noise = nn.Identity()
    ratio = torch.stack(true_variances(net, data))
    now = ratio[0] / ratio[1]
    severity = float(torch.maximum(now, 1 / now).quantile(0.5))
    before, after = steps["relocate"].before, steps["relocate"].after
    assert before == pytest.approx(severity, abs=5 * before.se + 0.02)
    assert after == pytest.approx(1.0, abs=1e-6)
    lower = steps.get("lower-rate")
    if lower is not None:  # dropout of torch's in its place, which rescales
        rate = float(lower.line.partition(": ")[2].partition("}")[0])
        away.noise = nn.Dropout(rate)
        train, test = true_variances(away, data)
        true = float(torch.maximum(train / test, test / train).quantile(0.5))
        assert lower.after == pytest.approx(true, abs=5 * lower.after.se + 0.01)


@pytest.mark.parametrize("real", [True, False])
def test_the_linter_sizes_it_and_leaves_nothing_unexplained(real):
    net, data = settled(rarely_kept)
    train, test = true_variances(net, data)
    severity = float(torch.maximum(train / test, test / train).quantile(0.5))
    found = vs.check(net, data=data) if real else vs.check(net, torch.cat(data)[:256])
    (finding,) = (each for each in found if each.code.startswith("VS1"))
    assert finding.code == "VS102"
    assert finding.low < severity < finding.high


class InTurn(nn.Module):
    """A mask that nobody rescales in front of three norms, and one that is rescaled at the last."""

    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm1d(8, momentum=None) for _ in range(3))
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))

    def forward(self, x):
        for at, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            if self.training and at == 0:
                x = dropped(x)
            if self.training and at == 2:
                x = scaled_before(x)
            x = norm(layer(x))
        return x


def test_beside_another_further_on_whose_mean_is_right_it_alone_is_left_out():
    """Left out together more places are right than with both at their mean, and one is wrong."""
    torch.manual_seed(0)
    net = InTurn().double()
    data = [torch.randn(64, 8, dtype=torch.float64) for _ in range(8)]
    with torch.no_grad():
        for batch in data * 4:
            net.train()(batch)
    x = vs.explain(net, data)
    assert list(x.blame.left_out.values()) == [pytest.approx(0.7)]
    assert list(x.blame.rest.values()) == [vs.Figure(0.0, 0.0)] * len(x.blame.rest)
