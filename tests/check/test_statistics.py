"""Stored statistics set by construction: each cause by its own code, means like variances."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import varshift as vs


def batches(count=20, samples=64, seed=0):
    random = torch.Generator().manual_seed(seed)
    return [2 * torch.randn(samples, 8, generator=random) + 1 for _ in range(count)]


def other_domain(data):
    return [0.5 * batch + 3 for batch in data]


def made(data, momentum=0.1, moved=True):
    """A norm with exactly the statistics of the data, and weights that were trained."""
    norm = nn.BatchNorm1d(8, momentum=momentum)
    whole = torch.cat(data)
    norm.running_mean, norm.running_var = (
        whole.mean(0),
        torch.stack([b.var(0) for b in data]).mean(0),
    )
    norm.num_batches_tracked.fill_(1000)
    if moved:
        with torch.no_grad():
            norm.bias.add_(0.1)
    return nn.Sequential(norm)


def told(net, data):
    """(code, severity, low) of the only finding, or None."""
    found = vs.check(net, data=data)
    assert len(found) <= 1
    return (found.findings[0] if found else None), found.notes


def test_statistics_that_fit_are_no_finding():
    data = batches()
    assert told(made(data), data)[0] is None


@pytest.mark.parametrize("by", [0.3, 0.5, -0.5])
def test_means_count_as_variances_do(by):
    """1 + the distance in stored deviations, whatever the variances."""
    data = batches()
    net = made(data)
    net[0].running_mean += by * net[0].running_var.sqrt()
    finding, _ = told(net, data)
    assert finding.code == "VS206"
    assert finding.severity == pytest.approx(1 + abs(by), abs=1e-4)
    assert finding.low < finding.severity < finding.high
    assert finding.shift == pytest.approx(1, abs=1e-5)
    assert f"{abs(by):.2f} deviations away" in finding.message


def test_means_within_their_own_scatter_are_no_finding():
    """Off by what an average over ten batches keeps: sampling, not a fault."""
    data = batches(40, 16)
    net = made(data)
    scatter = torch.stack([batch.mean(0) for batch in data]).var(0)
    net[0].running_mean += (scatter * 0.1 / 1.9).sqrt()
    assert told(net, data)[0] is None


@pytest.mark.parametrize("sign", [-1, 1])
def test_variances_within_their_own_scatter_are_no_finding(sign):
    """Two deviations of what an average keeps of small batches, in channels that move as one."""
    one = batches(200, 8)
    data = [batch[:, :1].expand(-1, 8).contiguous() for batch in one]
    net = made(data)
    variances = torch.stack([batch.var(0) for batch in data])
    net[0].running_var += sign * 2 * (variances.var(0) * 0.1 / 1.9).sqrt()
    assert told(net, data)[0] is None
    # Of large batches it keeps next to nothing: then as much is surely too much.
    assert told(net, list(torch.cat(data).split(400)))[0].code == "VS206"


class Level(nn.Module):
    """A scale that all samples of a batch share."""

    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def forward(self, x):
        return self.norm(x * (0.5 + torch.rand(())) if self.training else x)


def test_one_batch_of_a_draw_that_all_its_samples_share_makes_nothing_sure():
    """Its scale may be anywhere; what is stored is right on average."""
    data = batches(1)
    net = made(data)
    net[0].running_mean.zero_()
    net[0].running_var.fill_(4 * 13 / 12)  # E[(0.5 + u)²] = 13/12
    for seed in range(5):
        torch.manual_seed(seed)
        assert told(nn.Sequential(Level(net[0])), [data[0] - 1])[0] is None


def test_means_that_fit_evaluation_are_meant_to():
    """As after recalibration with the noise off, of a noise whose mean is not one."""

    class Halved(nn.Module):
        def __init__(self, norm):
            super().__init__()
            self.norm = norm

        def forward(self, x):
            return self.norm(x - 2 if self.training else x)

    data = batches()
    assert told(Halved(made(data)[0]), data)[0] is None


def test_trained_weights_beside_statistics_as_made():
    """With data, and with an example: buffers were not averaged or saved with the weights."""
    data = batches()
    net = made(data)
    net[0].reset_running_stats()
    finding, _ = told(net, data)
    assert finding.code == "VS201"
    assert finding.severity == pytest.approx(4, rel=0.2)  # the data has variance 4
    assert "num_batches_tracked 0" in finding.message
    shown = vs.check(net, data[0])
    assert [f.code for f in shown] == ["VS201"]


@pytest.mark.parametrize("count", [0, 3])
def test_untrained_norms_are_no_finding(count):
    """γ drawn at random, as generators have it; counted batches are another matter."""
    net = nn.Sequential(nn.BatchNorm1d(8))
    with torch.no_grad():
        net[0].weight.normal_(1, 0.02)
    net[0].num_batches_tracked.fill_(count)
    finding, _ = told(net, batches())
    assert (finding is None) == (count == 0)


def test_without_weights_of_its_own_a_norm_is_a_note():
    finding, notes = told(nn.Sequential(nn.BatchNorm1d(8, affine=False)), batches())
    assert finding is None
    assert any("still mean 0 and variance 1, as made" in note for note in notes)


def averaged(net, parts):
    """What a running average holds after these statistics, in order."""
    mean, var = (each.clone() for each in parts[0])
    for other, spread in parts[1:]:
        mean, var = 0.9 * mean + 0.1 * other, 0.9 * var + 0.1 * spread
    net[0].running_mean, net[0].running_var = mean, var
    return net


def test_domains_one_after_the_other():
    one = batches()
    data = one + other_domain(one)
    net = averaged(made(data), [(batch.mean(0), batch.var(0)) for batch in data])
    finding, _ = told(net, data)
    assert finding.code == "VS207"
    assert "ends with batch 40 of 40" in finding.message


def test_domains_in_turn_of_which_one_is_given():
    """Half way between: of this data alone the numbers do not tell why."""
    one = batches()
    two = other_domain(one)
    both = [batch for pair in zip(one, two, strict=True) for batch in pair]
    net = averaged(made(one), [(batch.mean(0), batch.var(0)) for batch in both * 4])
    finding, _ = told(net, one)
    assert finding.code == "VS206"
    assert "The numbers do not tell why" in finding.message
    assert "domains that come in turns" in finding.message


@pytest.mark.parametrize("momentum", [0.9, 0.99])
def test_momentum_near_one_keeps_the_last_batch(momentum):
    data = batches(40, 8)
    net = made(data, momentum)
    far = max(data, key=lambda batch: float((batch.var(0) / 4).log().abs().median()))
    net[0].running_mean, net[0].running_var = far.mean(0), far.var(0)
    finding, _ = told(net, data)
    assert finding.code == "VS207"
    assert f"Momentum {momentum:g} keeps little but the last batch" in finding.message
    note = next(n for n in vs.check(net, data[0]).notes if "keeps little but" in n)
    assert "pass data" in note


@pytest.mark.parametrize("samples", [8, 32])
def test_momentum_near_one_is_sized_by_what_one_batch_is_off(samples):
    """Though it fits now: half of all variances of n are off by 0.674·√(2/(n − 1)) or more."""
    data = batches(100, samples)
    finding, _ = told(made(data, 0.99), data)
    assert finding.code == "VS207"
    typical = 0.6745 * (0.99 / 1.01 * 2 / (samples - 1)) ** 0.5
    # The median of 8 channels, each known to 7 % from 100 batches; kurtosis adds as much.
    assert finding.severity - 1 == pytest.approx(torch.tensor(typical).exp().item() - 1, rel=0.25)
    assert "half of all batches" in finding.message
    assert told(made(data, 0.1), data)[0] is None


def test_momentum_near_one_is_noted_where_batches_hardly_differ():
    data = batches(20, 1024)
    finding, notes = told(made(data, 0.99), data)
    assert finding is None
    assert any("keeps little but the last batch" in note for note in notes)
    assert any("keeps little but" in note for note in vs.explain(made(data, 0.99), data).notes)


def test_too_few_steps_with_data():
    data = batches()
    net = made(data, 0.01)
    weight = 0.99**30
    norm = net[0]
    norm.running_mean, norm.running_var = (
        (1 - weight) * norm.running_mean,
        weight + (1 - weight) * norm.running_var,
    )
    norm.num_batches_tracked.fill_(30)
    finding, _ = told(net, data)
    assert finding.code == "VS202"
    assert "after 30 steps at momentum 0.01" in finding.message


def test_explain_and_check_name_the_same_cause():
    data = batches()
    net = made(data)
    for change in (_lost, _scaled, _moved):
        changed = change(copy.deepcopy(net))
        finding, _ = told(changed, data)
        x = vs.explain(changed, data)
        assert x.verdict == "staleness"
        assert x.stale["0"].sentence.rstrip(".") in finding.message
        assert x.stale["0"].sentence in x.reason


def _lost(net):
    net[0].reset_running_stats()
    return net


def _scaled(net):
    net[0].running_mean /= 1.5
    net[0].running_var /= 2.25
    return net


def _moved(net):
    net[0].running_mean += torch.linspace(-1, 1, 8)
    return net


class Held(nn.Module):
    """A norm written by hand that goes by what it has stored in both modes."""

    def __init__(self):
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(8))
        self.register_buffer("running_var", torch.ones(8))

    def forward(self, x):
        return (x - self.running_mean) / (self.running_var + 1e-5).sqrt()


def test_a_norm_that_its_own_code_freezes_is_not_said_to_be_in_eval_mode():
    model, data = nn.Sequential(Held()), other_domain(batches())
    (finding,) = vs.check(model, data=data)
    assert finding.code == "VS204"
    assert "eval mode" not in finding.message
    x = vs.explain(model, data)
    assert x.verdict == "staleness"
    assert "own code" in x.stale["0"].sentence
    assert "eval mode" not in x.reason
