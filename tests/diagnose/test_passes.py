"""How often the model runs, and that it says what the verbs say that it stands for."""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn

import varshift as vs
from problems.causes import CAUSES, planted
from problems.noisy_nets import ByHand, Conv, Mlp


def counted(net, data, verb=vs.diagnose, **options):
    """The diagnosis, and how many forward passes it took."""
    runs = []
    hook = net.register_forward_pre_hook(lambda *_: runs.append(1))
    d = verb(net, data, **options)
    hook.remove()
    return d, len(runs)


NOISY = {
    "mlp": lambda: (Mlp(), [torch.randn(64, 8) for _ in range(5)]),
    "conv": lambda: (Conv(), [torch.randn(32, 3, 12, 12) for _ in range(4)]),
    "by hand": lambda: (ByHand(), [torch.randn(64, 6) for _ in range(3)]),
    "one batch": lambda: (Mlp(), [torch.randn(64, 8)]),
    "ragged": lambda: (Mlp(), [torch.randn(n, 8) for n in (64, 17, 5, 2)]),
}


@pytest.mark.parametrize("name", NOISY)
def test_five_forwards_a_batch_and_one_of_test_data(name):
    net, data = NOISY[name]()
    shape = data[0].shape
    d, forwards = counted(net, data, test_data=[torch.randn(shape) for _ in range(2)])
    assert forwards == 5 * len(data) + 2
    assert d.passes == 5


def test_four_without_a_norm():
    net = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.ReLU(), nn.Linear(4, 2))
    d, forwards = counted(net, [torch.randn(32, 4) for _ in range(3)])
    assert (d.passes, forwards) == (4, 12)


def test_three_without_noise_and_one_more_of_the_first_batch():
    data = [torch.randn(32, 4) for _ in range(3)]
    d, forwards = counted(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), data)
    assert (d.passes, forwards) == (3, 3 * 3 + 1)


class Acting(nn.Module):
    """Samples act on each other between two norms."""

    def __init__(self):
        super().__init__()
        self.one = nn.Sequential(nn.Dropout(0.3), nn.Linear(8, 8), nn.BatchNorm1d(8))
        self.two = nn.Sequential(nn.Dropout(0.3), nn.Linear(8, 8), nn.BatchNorm1d(8))

    def forward(self, x):
        y = self.one(x)
        return self.two(y + y.mean(0))


class Masked(nn.Module):
    """A draw that cannot be silenced."""

    def __init__(self):
        super().__init__()
        self.drop, self.norm = nn.Dropout(0.2), nn.BatchNorm1d(8)

    def forward(self, x):
        x = x + x[torch.randperm(len(x))] if self.training else x
        return self.norm(self.drop(x))


class Skipping(nn.Module):
    """What runs is drawn in Python."""

    def __init__(self):
        super().__init__()
        self.branch, self.norm = nn.Linear(8, 8), nn.BatchNorm1d(8)

    def forward(self, x):
        if not self.training or random.random() < 0.5:
            x = x + self.branch(x)
        return self.norm(x)


class Lasting(nn.Module):
    """Noise that evaluation draws just as well."""

    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(8, 8), nn.BatchNorm1d(8)

    def forward(self, x):
        return self.norm(self.linear(nn.functional.dropout(x, 0.3, True)))


@pytest.mark.parametrize("make", [Acting, Masked, Skipping, Lasting])
def test_one_a_batch_more_than_explain_and_a_few_of_the_first_batch(make):
    data = [torch.randn(64, 8) for _ in range(10)]
    net = make()
    d, forwards = counted(net, data)
    _, explained = counted(net, data, vs.explain)
    assert forwards <= min(explained + len(data) + 1, 5 * len(data) + 9)
    assert d.verdict == d.explanation.verdict


def test_a_batch_is_read_once():
    taken = []

    def batches():
        for number in range(6):
            taken.append(number)
            yield torch.randn(32, 8)

    vs.diagnose(Mlp(), batches())
    assert taken == list(range(6))


@pytest.mark.parametrize("cause", CAUSES)
def test_verdict_is_that_of_explain(cause):
    net, train, test = planted(cause, 0)
    d = vs.diagnose(net, train, test, max_samples=1020)
    assert d.verdict == cause == vs.explain(net, train, test_data=test, max_samples=1020).verdict
    assert (d.grade == "none") == (cause == "none")
    if cause != "none":
        assert d.worst[0].cause == cause
        assert d.worst[0].place == d.explanation.worst[cause]
        assert d.causes[0].cause == cause
    else:
        assert d.worst == d.advice == ()


def test_figures_are_those_of_the_verbs_it_stands_for():
    net, data = Conv(), [torch.randn(64, 3, 12, 12) for _ in range(8)]
    with torch.no_grad():
        for batch in data * 8:
            net(batch)
    d, m = vs.diagnose(net, data), vs.measure(net, data)
    c = vs.check(net, data=data)
    assert list(d.measurement.sites) == list(m.sites)
    for path, site in m.sites.items():
        torch.testing.assert_close(d.measurement[path].test.var, site.test.var)
        error = 5 * (site.severity_se**2 + d.measurement[path].severity_se ** 2) ** 0.5
        assert d.measurement[path].severity == pytest.approx(site.severity, abs=error)
    assert [f.code for f in d.findings] == [f.code for f in c]
    assert [f.place for f in d.findings] == [f.place for f in c]
