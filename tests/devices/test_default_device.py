"""With torch's default device elsewhere, every verb answers as it does without one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs

SOME = {"*": 0.1}


def lent():
    """A trained network on the processor, and data there, whatever the default device is."""
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Dropout(0.4), nn.BatchNorm2d(8)),
        *(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.Dropout(0.2)),
        *(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 4)),
    )
    data = [(torch.randn(16, 3, 8, 8), torch.randint(4, (16,))) for _ in range(4)]
    with torch.no_grad():
        for x, _ in data * 12:
            net(x)
    return net, data


def within(net, data):
    with vs.test_statistics(net, data) as figures:
        return figures


VERBS = {
    "inspect": lambda net, data: vs.inspect(net, data[0]),
    "measure": vs.measure,
    "explain": vs.explain,
    "predict": lambda net, data: vs.predict(net, data, noise=SOME),
    "predict without data": lambda net, data: vs.predict(net, example=data[0], noise=SOME),
    "footprint": vs.footprint,
    "check": lambda net, data: vs.check(net, data=data),
    "diagnose": vs.diagnose,
    "repair": vs.repair,
    "recalibrate": vs.recalibrate,
    "update_bn": lambda net, data: vs.update_bn(data, net),
    "test_statistics": within,
    "relocate": lambda net, data: vs.relocate(net, data[0]),
    "replace": lambda net, data: vs.replace(net, data[0], noise="gaussian"),
}


@pytest.fixture
def elsewhere():
    def move(to):
        torch.set_default_device(to)

    yield move
    torch.set_default_device(None)


@pytest.mark.parametrize("verb", VERBS)
def test_the_answer_is_the_same(verb, elsewhere):
    net, data = lent()
    plain = VERBS[verb](net, data)
    again, data = lent()
    elsewhere("meta")  # a tensor made there and not here has no values
    answer = VERBS[verb](again, data)
    assert torch.get_default_device().type == "meta"
    elsewhere(None)
    assert told(answer) == told(plain)
    for one, other in zip(net.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def told(answer):
    return answer.to_json() if hasattr(answer, "to_json") else repr(answer)


def test_the_monitor(elsewhere):
    figures = []
    for device in (None, "meta"):
        elsewhere(None)
        net, data = lent()
        monitor = vs.Monitor(net, every=1, warn=False)
        elsewhere(device)
        for x, _ in data:
            net(x)
            monitor.step(x)
        norms = [norm for record in monitor.history for norm in record.norms.values()]
        figures.append([repr((norm.delta.tolist(), norm.shift, norm.severity)) for norm in norms])
    plain, answer = figures
    assert len(plain) > 1
    assert answer == plain
