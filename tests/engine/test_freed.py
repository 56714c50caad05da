"""A model whose owner lets it go is gone at once: no verb leaves it in a cycle of references.

Python looks for cycles when it pleases; until then all memory of the model would stay.
"""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import nn

import varshift as vs


class Net(nn.Module):
    """Two norms behind a noise; raises in its n-th call if told so."""

    def __init__(self):
        super().__init__()
        self.first, self.noise, self.norm = nn.Linear(4, 8), nn.Dropout(0.3), nn.BatchNorm1d(8)
        self.second, self.last = nn.Linear(8, 8), nn.BatchNorm1d(8)
        self.calls, self.fails = 0, 0

    def forward(self, x):
        self.calls += 1
        if self.calls == self.fails:
            raise RuntimeError("told to")
        return self.last(self.second(self.norm(self.noise(self.first(x))).relu()))


def trained():
    torch.manual_seed(0)
    net = Net()
    with torch.no_grad():
        for _ in range(200):
            net(torch.randn(64, 4))
    net.calls = 0
    return net


DATA = [torch.randn(64, 4) for _ in range(6)]


def averaged(net):
    with vs.test_statistics(net, DATA):
        net(DATA[0])


def monitored(net):
    monitor = vs.Monitor(net)
    for batch in DATA:
        net.train()(batch)
        monitor.step(batch)


VERBS = {
    "inspect": lambda net: vs.inspect(net, DATA[0]),
    "measure": lambda net: vs.measure(net, DATA),
    "explain": lambda net: vs.explain(net, DATA),
    "predict": lambda net: vs.predict(net, DATA),
    "predict otherwise": lambda net: vs.predict(net, DATA, noise={"*": 0.1}),
    "predict without data": lambda net: vs.predict(net, example=DATA[0]),
    "check": lambda net: vs.check(net, DATA[0]),
    "diagnose": lambda net: vs.diagnose(net, DATA),
    "footprint": lambda net: vs.footprint(net, DATA),
    "recalibrate": lambda net: vs.recalibrate(net, DATA),
    "repair": lambda net: vs.repair(net, DATA),
    "update_bn": lambda net: vs.update_bn(DATA, net),
    "test_statistics": averaged,
    "Monitor": monitored,
    "relocate": lambda net: vs.relocate(net, DATA[0]),
    "replace": lambda net: vs.replace(net, DATA[0], 0.1),
}


@pytest.fixture(autouse=True)
def uncollected():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("verb", VERBS)
def test_a_model_that_is_let_go_is_gone(verb):
    net = trained()
    there = weakref.ref(net)
    result = VERBS[verb](net)
    del result, net
    assert there() is None


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("fails", [1, 2])
def test_so_is_one_that_raised(verb, fails):
    net = trained()
    there = weakref.ref(net)
    net.fails = fails
    try:
        VERBS[verb](net)
    except Exception as error:
        error.__traceback__ = None
        del error
    del net
    assert there() is None
