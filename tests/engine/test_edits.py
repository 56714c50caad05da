"""An edit is tried without a trace, written all or nothing, and taken back bit for bit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from problems.noisy_nets import ByHand, Mlp
from varshift._engine.edits import Edit, edit_of, names_of, write


class Tied(nn.Module):
    """One norm under two names, its weight also held by a third module."""

    def __init__(self):
        super().__init__()
        self.one = nn.BatchNorm1d(4)
        self.two = self.one
        self.other = nn.BatchNorm1d(4)
        self.other.weight = self.one.weight

    def forward(self, x):
        return self.other(self.two(self.one(x)))


def bits(net):
    return {
        name: (id(t), t.data_ptr(), t._version, t.detach().view(torch.uint8).tolist())
        for name, t in net.state_dict(keep_vars=True).items()
        if t.ndim
    }


def test_stand_ins_compute_and_leave_no_trace():
    net, x = Tied().eval(), torch.randn(6, 4)
    before, out = bits(net), net(x)
    edit = Edit({"one.weight": torch.full((4,), 3.0), "other.running_mean": torch.ones(4)})
    with edit.standing_in(net):
        assert net.other.weight is net.one.weight is net.two.weight
        assert isinstance(net.one.weight, nn.Parameter)
        changed = net(x)
    by_hand = Tied().eval()
    with torch.no_grad():
        by_hand.one.weight.fill_(3.0)
        by_hand.other.running_mean.fill_(1.0)
    assert torch.equal(changed, by_hand(x))
    assert bits(net) == before
    assert torch.equal(net(x), out)


def test_stand_ins_go_when_something_raises():
    net = Tied()
    before = bits(net)
    with pytest.raises(KeyboardInterrupt), Edit({"one.bias": torch.ones(4)}).standing_in(net):
        raise KeyboardInterrupt
    assert bits(net) == before


def test_a_graph_made_before_still_runs_backward_after_a_trial():
    net = Tied().eval()
    loss = net(torch.randn(3, 4)).square().sum()
    with Edit({"one.weight": torch.zeros(4), "one.running_var": torch.ones(4)}).standing_in(net):
        net(torch.randn(3, 4))
    loss.backward()
    assert net.one.weight.grad is not None


def test_written_in_place_and_taken_back_bit_for_bit():
    net = Mlp()
    with torch.no_grad():
        net.body[1].running_mean[0], net.body[1].running_mean[1] = -0.0, float("nan")
    places = {name: t.data_ptr() for name, t in net.state_dict().items()}
    before = {name: t.clone().view(-1).view(torch.uint8) for name, t in net.state_dict().items()}
    undo = write(Edit({"body.1.running_mean": torch.ones(24, dtype=torch.float64)}), net)
    assert torch.equal(net.body[1].running_mean, torch.ones(24))
    for _ in range(2):
        undo()
        after = {name: t.view(-1).view(torch.uint8) for name, t in net.state_dict().items()}
        assert all(torch.equal(before[name], after[name]) for name in before)
    assert {name: t.data_ptr() for name, t in net.state_dict().items()} == places


def test_all_or_nothing():
    net = Mlp()
    before = net.body[1].running_mean.clone()
    edit = Edit({"body.1.running_mean": torch.ones(24), "body.1.running_var": torch.ones(7)})
    with pytest.raises(RuntimeError):
        write(edit, net)
    assert torch.equal(net.body[1].running_mean, before)


def test_names_are_those_of_the_state_dict():
    for net in (Mlp(), Tied(), ByHand()):
        state = net.state_dict(keep_vars=True)
        names = set(names_of(net).values())
        assert names <= set(state)
        assert {id(t) for t in state.values()} == set(names_of(net))
    net = ByHand()
    assert list(edit_of(net, [(net.m, torch.ones(6))]).values) == ["m"]


def test_a_later_edit_goes_on_top():
    both = Edit({"a": torch.zeros(1), "b": torch.zeros(1)}).then(Edit({"b": torch.ones(1)}))
    assert {name: float(value) for name, value in both.values.items()} == {"a": 0.0, "b": 1.0}
