"""Norms by another name are measured as hooks see them, or are named."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs
from problems.other_norms import FrozenByHand, MovingLast, Renorm

DATA = [torch.randn(64, 6, generator=torch.Generator().manual_seed(n)) for n in range(8)]


def trained(norm, *rest):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Dropout(0.5), norm, *rest)
    for batch in DATA * 10:
        net(batch)
    return net


@pytest.mark.parametrize("make", [Renorm, MovingLast])
def test_hand_made_norms_are_measured(make):
    net = trained(make(12))
    m = vs.measure(net, DATA)
    x = torch.cat(DATA)
    with torch.no_grad():
        before = net[:2](x).double()
    assert torch.allclose(m["3"].test.var, before.var(0), rtol=1e-5)
    # law (a), of which training is one draw: four standard errors
    expected = before.var(0) / (2 * before.var(0) + before.mean(0).square())
    assert bool(((m["3"].delta - expected).abs() < 4 * m["3"].delta_se).all())
    assert [(norm.path, norm.kind, norm.frozen) for norm in m.structure.norms] == [
        ("3", make.__name__, False)
    ]
    stored = net[3].running_std.square() if make is Renorm else net[3].moving_variance
    assert torch.equal(m["3"].stored.var, stored.double())
    assert [f.code for f in vs.check(net, data=DATA)] == ["VS101"]
    assert vs.explain(net, DATA).verdict == "noise"


def test_one_that_leaves_its_statistics_alone_is_frozen():
    m = vs.measure(trained(FrozenByHand(12)), DATA)
    assert m.structure.norm("3").frozen
    assert m["3"].stored.var.tolist() == [2.0] * 12
    assert not [f for f in vs.check(trained(FrozenByHand(12)), data=DATA) if "VS1" in f.code]


def test_channels_last_are_channels():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Dropout(0.5), MovingLast(5))
    data = [torch.randn(32, 7, 5) for _ in range(6)]
    m = vs.measure(net, data)
    assert m["1"].test.var.allclose(torch.cat(data).double().var((0, 1)), rtol=1e-5)


def test_instance_norm_stores_what_varies_within_samples():
    torch.manual_seed(0)
    x = torch.randn(240, 3, 6, 6) * (1 + 3 * torch.rand(240, 1, 1, 1)) + 4 * torch.randn(
        240, 1, 1, 1
    )
    net = nn.Sequential(nn.InstanceNorm2d(3, track_running_stats=True, momentum=0.5))
    for batch in list(x.split(40)) * 10:
        net(batch)
    m = vs.measure(net, list(x.split(40)))
    assert torch.allclose(m["0"].train.within, x.double().var((2, 3)).mean(0), rtol=1e-5)
    assert torch.allclose(m["0"].train.var, x.double().var((0, 2, 3)), rtol=1e-5)
    assert m["0"].shift == pytest.approx(1.0)
    found = vs.explain(net, list(x.split(40)))
    assert found.verdict == "small-batch"
    assert "InstanceNorm" in found.reason
    assert not any("nothing can shift here" in note for note in found.notes)


def test_nothing_can_shift_is_said_where_that_is_known():
    data = torch.randn(16, 6)
    said = "nothing can shift here"
    plain = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5))
    assert any(said in note for note in vs.inspect(plain, data).notes)
    by_batch = nn.Sequential(nn.BatchNorm1d(6, track_running_stats=False))
    assert any(said in note for note in vs.inspect(by_batch, data).notes)
    each = nn.Sequential(nn.Linear(6, 6), nn.InstanceNorm1d(6, track_running_stats=True))
    assert not any(said in note for note in vs.inspect(each, torch.randn(16, 6, 6)).notes)


class Unlike(nn.Module):
    """Running statistics of something else than what it is given."""

    def __init__(self):
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(3))
        self.register_buffer("running_var", torch.ones(3))

    def forward(self, x):
        return x


def test_what_could_not_be_met_as_a_norm_is_named():
    s = vs.inspect(nn.Sequential(nn.Linear(6, 6), Unlike()), torch.randn(16, 6))
    assert s.norms == ()
    assert any(note.startswith("1: holds running statistics") for note in s.notes)
    assert not any("nothing can shift here" in note for note in s.notes)
