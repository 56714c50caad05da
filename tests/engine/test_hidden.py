"""Norms and noise that the module tree does not hold: found, named, given back, and measured."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import varshift as vs
from varshift.results import NoteKind

WIDTH = 12


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.drop = nn.Linear(6, WIDTH), nn.Dropout(0.5)

    def hidden(self, x):
        return self.drop(self.first(x).relu())


class InList(Base):
    def __init__(self):
        super().__init__()
        self.norms = [nn.BatchNorm1d(WIDTH)]

    def norm(self):
        return self.norms[0]

    def forward(self, x):
        return self.norms[0](self.hidden(x))


class InDict(InList):
    def __init__(self):
        super().__init__()
        self.norms = {"deep": {0: nn.BatchNorm1d(WIDTH)}}

    def norm(self):
        return self.norms["deep"][0]

    def forward(self, x):
        return self.norms["deep"][0](self.hidden(x))


class Helper:
    def __init__(self):
        self.bn = nn.BatchNorm1d(WIDTH)


class OnObject(InList):
    def __init__(self):
        super().__init__()
        self.norms = Helper()

    def norm(self):
        return self.norms.bn

    def forward(self, x):
        return self.norms.bn(self.hidden(x))


OUTSIDE = nn.BatchNorm1d(WIDTH)


class OfTheModule(Base):
    """Its norm is a global of this file."""

    def norm(self):
        return OUTSIDE

    def forward(self, x):
        return OUTSIDE(self.hidden(x))


def in_closure():
    norm = nn.BatchNorm1d(WIDTH)

    class Closed(Base):
        def norm(self):
            return norm

        def forward(self, x):
            return norm(self.hidden(x))

    return Closed()


class Deeper(Base):
    """A whole block in a tuple, in a block that is registered."""

    def __init__(self):
        super().__init__()
        self.inner = InList()
        self.inner.norms = (nn.Sequential(nn.BatchNorm1d(WIDTH)),)

    def norm(self):
        return self.inner.norms[0][0]

    def forward(self, x):
        return self.inner(x)


MODELS = {
    "norms.0": InList,
    "norms.deep.0": InDict,
    "norms.bn": OnObject,
    "OUTSIDE": OfTheModule,
    "norm": in_closure,
    "inner.norms.0.0": Deeper,
}
every_model = pytest.mark.parametrize("path", MODELS)


def batches():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(64, 6, generator=generator) for _ in range(6)]


def trained(make):
    torch.manual_seed(0)
    net = make()
    net.norm().reset_running_stats()
    for batch in batches() * 12:
        net(batch)
    return net


@every_model
def test_it_is_measured_as_a_hook_sees_it(path):
    net = trained(MODELS[path])
    m = vs.measure(net, batches())
    assert list(m.sites) == [path]
    seen = []
    handle = net.norm().register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    net.eval()
    with torch.no_grad():
        for batch in batches():
            net(batch)
    handle.remove()
    assert torch.allclose(m[path].test.var, torch.cat(seen).double().var(0), rtol=1e-5)
    assert m[path].by_batch  # eval() has not reached it


@every_model
def test_it_is_given_back(path):
    net = trained(MODELS[path])
    before = copy.deepcopy(net.norm().state_dict())
    data = batches()
    for call in (vs.inspect, vs.check):
        call(net, data[0])
    for call in (vs.measure, vs.explain, vs.predict, vs.recalibrate):
        call(net, data) if call is not vs.recalibrate else refused(net, data)
    after = net.norm().state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert net.norm().training


def refused(net, data):
    with pytest.raises(vs.ModelError, match="no BatchNorm"):
        vs.recalibrate(net, data)


@every_model
def test_check_says_that_eval_does_not_reach_it(path):
    found = vs.check(trained(MODELS[path]), batches()[0])
    assert [(f.code, f.place) for f in found] == [("VS401", path)]
    assert "eval() does not reach the norm" in found.findings[0].message
    measured = vs.check(trained(MODELS[path]), data=batches())
    assert [f.code for f in measured] == ["VS401"]


@every_model
def test_the_structure_says_that_no_module_holds_it(path):
    s = vs.inspect(trained(MODELS[path]), batches()[0])
    assert [(norm.path, norm.registered) for norm in s.norms] == [(path, False)]
    (note,) = (n for n in s.notes if n.kind is NoteKind.NOT_REGISTERED)
    assert note.about == path
    assert [(r.noise, r.norm) for r in s.routes] == [
        ("drop" if "." not in s.routes[0].noise else "inner.drop", path)
    ]


class MadeInForward(Base):
    def forward(self, x):
        x = nn.BatchNorm1d(WIDTH)(self.hidden(x))
        return nn.BatchNorm1d(WIDTH)(2 * x)


def test_a_norm_made_in_forward_is_measured_under_a_made_up_name():
    torch.manual_seed(0)
    net = MadeInForward()
    m = vs.measure(net, batches())
    assert list(m.sites) == ["batch_norm", "batch_norm#2"]
    assert m["batch_norm"].shift < 0.6
    assert m["batch_norm#2"].shift == pytest.approx(1.0, abs=1e-4)  # the first takes it out
    assert {f.code for f in vs.check(net, batches()[0])} == {"VS401"}


class SetsThemItself(InList):
    """Its own `train()` reaches the list: evaluation reads what is stored."""

    def train(self, mode=True):
        super().train(mode)
        self.norms[0].train(mode)
        return self


def test_a_norm_that_the_models_own_train_reaches_is_a_norm_like_any_other():
    net = trained(SetsThemItself)
    m = vs.measure(net, batches())
    assert not m["norms.0"].by_batch
    assert [f.code for f in vs.check(net, data=batches())] == ["VS101"]
    r = vs.recalibrate(net, batches())
    assert list(r.sites) == ["norms.0"]
    net.eval()
    x = torch.cat(batches())
    with torch.no_grad():
        assert torch.allclose(net(x).var(0), torch.ones(WIDTH), atol=1e-2)
    r.undo()


def test_hidden_noise_has_the_path_of_its_module():
    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.drops, self.norm = [nn.Dropout(0.5)], nn.BatchNorm1d(6)

        def forward(self, x):
            return self.norm(self.drops[0](x))

    s = vs.inspect(Hidden(), batches()[0])
    assert [(r.noise, r.norm) for r in s.routes] == [("drops.0", "norm")]
    # eval() does not reach it either: the same noise in both modes shifts nothing
    assert not vs.check(Hidden(), torch.cat(batches()))


def test_a_list_that_a_class_closes_over_is_the_users_own():
    calls = []

    class Counted(Base):
        def forward(self, x):
            calls.append(len(x))
            return self.hidden(x)

    vs.inspect(Counted(), batches()[0])
    assert calls
