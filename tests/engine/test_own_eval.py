"""Evaluation is what the model's own `eval()` makes of it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

import varshift as vs
from problems.other_norms import Ghost

DATA = [torch.randn(64, 6, generator=torch.Generator().manual_seed(n)) for n in range(6)]


class Keeps(nn.Module):
    """One norm by its batch in both modes, for three reasons."""

    def __init__(self, why):
        super().__init__()
        self.why = why
        self.first, self.drop = nn.Linear(6, 12), nn.Dropout(0.5)
        self.norm = nn.BatchNorm1d(12, track_running_stats=why != "untracked")
        self.head = nn.Linear(12, 12)
        self.last = nn.BatchNorm1d(12)

    def train(self, mode=True):
        super().train(mode)
        if self.why == "train()":
            self.norm.train()
        return self

    def forward(self, x):
        x, n = self.drop(self.first(x).relu()), self.norm
        if self.why == "functional":
            x = functional.batch_norm(x, n.running_mean, n.running_var, n.weight, n.bias, True)
        else:
            x = n(x)
        return self.last(self.head(x))


def trained(why):
    torch.manual_seed(0)
    net = Keeps(why)
    for batch in DATA * 8:
        net(batch)
    return net


@pytest.mark.parametrize("why", ["functional", "train()"])
def test_a_norm_that_goes_by_its_batch_is_judged_as_one_without_statistics(why):
    net, other = trained(why), trained("untracked")
    with torch.no_grad():
        assert torch.equal(net.eval()(DATA[0]), other.eval()(DATA[0]))
    m, without = vs.measure(net, DATA), vs.measure(other, DATA)
    assert m["norm"].by_batch
    assert any("nothing that it stores is read" in note for note in m.notes)
    assert torch.equal(m["last"].test.var, without["last"].test.var)
    for data in ({"example": DATA[0]}, {"data": DATA}):
        assert [f.code for f in vs.check(net.train(), **data)] == [
            f.code for f in vs.check(other.train(), **data)
        ]


@pytest.mark.parametrize("why", ["functional", "train()"])
def test_it_is_not_recalibrated(why):
    net = trained(why)
    before = net.norm.running_var.clone()
    r = vs.recalibrate(net, DATA)
    assert list(r.sites) == ["last"]
    assert "nothing that it stores is read" in r.skipped["norm"]
    assert torch.equal(net.norm.running_var, before)


class Merging(nn.Module):
    """An adapter that `eval()` merges into its weight."""

    def __init__(self):
        super().__init__()
        self.first, self.extra = nn.Linear(6, 6), nn.Parameter(torch.randn(6, 6))
        self.merged = False

    def train(self, mode=True):
        super().train(mode)
        if self.merged == mode:
            sign = -1 if mode else 1
            self.first.weight.data += sign * self.extra
            self.merged = not mode
        return self

    def forward(self, x):
        return self.first(x) if self.merged else self.first(x) + x @ self.extra.T


@pytest.mark.parametrize("training", [True, False])
def test_an_adapter_is_merged_for_evaluation_and_given_back(training):
    torch.manual_seed(0)
    net = nn.Sequential(Merging(), nn.Dropout(0.5), nn.BatchNorm1d(6)).train(training)
    before = copy.deepcopy(net.state_dict())
    m = vs.measure(net, DATA)
    assert net[0].merged is not training
    assert all(torch.equal(before[name], held) for name, held in net.state_dict().items())
    with torch.no_grad():
        x = torch.cat(DATA).double()
        adapted = copy.deepcopy(net).double().train()[0](x)
    assert torch.allclose(m["2"].test.var, adapted.var(0), rtol=1e-5)


def test_a_ghost_norm_averages_for_evaluation():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Dropout(0.5), Ghost(6), nn.Linear(6, 6), nn.BatchNorm1d(6))
    for batch in DATA * 5:
        net(batch)
    before = copy.deepcopy(net.state_dict())
    m = vs.measure(net, DATA)
    assert all(torch.equal(before[name], held) for name, held in net.state_dict().items())
    own, seen = copy.deepcopy(net).eval(), []
    own[3].register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    with torch.no_grad():
        for batch in DATA:
            own(batch)
    assert torch.allclose(m["3"].test.var, torch.cat(seen).double().var(0), rtol=1e-5)
    assert torch.allclose(m["1"].stored.var.float(), before["1.running_var"].view(4, 6).mean(0))
    assert m["1"].shift == pytest.approx(0.5, abs=0.05)  # inputs of mean 0: Δ = keep_p


served = {}  # outside every model, as a server's registry: nobody but the class can put it back


class Serves(nn.Linear):
    """Its `train()` tells a registry how it runs."""

    def train(self, mode=True):
        served[id(self)] = mode
        return super().train(mode)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("inner", [False, True])
def test_a_train_of_the_models_own_runs_on_the_way_back(training, inner):
    """With the flag that the model was lent with, whatever the verb set last."""
    serves = Serves(6, 6)
    rest = [nn.Dropout(0.5), nn.BatchNorm1d(6)]
    net = nn.Sequential(nn.Sequential(serves) if inner else serves, *rest).train(training)
    for verb in (lambda: vs.measure(net, DATA), lambda: vs.inspect(net, DATA[0])):
        served.clear()
        verb()
        assert served == {id(serves): training}
        assert all(module.training == training for module in net.modules())


def test_a_train_of_the_root_runs_on_the_way_back_after_a_failure_too():
    class Root(nn.Sequential):
        def train(self, mode=True):
            served["root"] = mode
            return super().train(mode)

    net = Root(nn.Dropout(0.5), nn.BatchNorm1d(6)).eval()
    with pytest.raises(vs.ModelError):
        vs.measure(net, [torch.randn(64, 5)])
    assert served["root"] is False


def test_a_train_that_raises_on_the_way_back_is_told_and_flags_come_back():
    class Once(nn.BatchNorm1d):
        calls = 0

        def train(self, mode=True):
            if mode and self.calls:
                raise RuntimeError("no way back")
            self.calls += 1
            return super().train(mode)

    net = nn.Sequential(nn.Dropout(0.5), Once(6))
    assert net.training
    r = vs.recalibrate(net, DATA)
    assert any("the model's own train(True) raised: no way back" in note for note in r.notes)
    assert all(module.training for module in net.modules())


def test_an_eval_that_raises_is_named():
    class Raises(nn.BatchNorm1d):
        def train(self, mode=True):
            if not mode:
                raise RuntimeError("no evaluation here")
            return super().train(mode)

    with pytest.raises(vs.ModelError, match=r"the model's own eval\(\) raised RuntimeError"):
        vs.measure(nn.Sequential(nn.Dropout(0.5), Raises(6)), DATA)
