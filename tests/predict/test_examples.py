"""What an example adds to a checkpoint, and what is said where it adds nothing."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import varshift as vs
from problems.settling import settled

ATEN = re.compile(r"\b(addmm|_unsafe_view|native_dropout|convolution|aten)\b")


def exact_statistics(net, data):
    """Stored statistics as endless training would leave them."""
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None
    return settled(net, data, 3)


class Reshaped(nn.Module):
    """By hand, as many models end."""

    def forward(self, x):
        return x.view(len(x), -1).reshape(-1, 16 * 16)


class Padded(nn.Module):
    def forward(self, x):
        return F.pad(x, (1, 1, 1, 1), mode="reflect")


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return (x + self.inner(x)).relu()


class Squeezed(nn.Module):
    """Channels scaled by what is in them."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Conv2d(16, 16, 1)

    def forward(self, x):
        return x * self.scale(x.mean((2, 3), keepdim=True)).sigmoid()


def stem():
    return [nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU()]


def behind(*layers):
    """Noise, something, a norm at the end."""
    return nn.Sequential(*stem(), nn.Dropout(0.4), *layers)


NETS = {
    "at the input": lambda: nn.Sequential(nn.Dropout(0.3), *stem()),
    "no norm before": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(108, 32), nn.ReLU(), nn.Dropout(0.4), nn.Linear(32, 16),
        nn.BatchNorm1d(16),
    ),
    "a function between": lambda: nn.Sequential(
        nn.Flatten(), nn.Dropout(0.4), nn.Linear(108, 32), nn.GELU(), nn.Linear(32, 16),
        nn.BatchNorm1d(16),
    ),
    "average pool": lambda: behind(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 16), nn.BatchNorm1d(16)
    ),
    "largest of a window": lambda: behind(
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16)
    ),
    "reshaped": lambda: behind(Reshaped(), nn.Linear(256, 16), nn.BatchNorm1d(16)),
    "padded": lambda: behind(Padded(), nn.Conv2d(16, 16, 3), nn.BatchNorm2d(16)),
    "scaled up": lambda: behind(
        nn.Upsample(scale_factor=2), nn.Conv2d(16, 8, 3), nn.BatchNorm2d(8)
    ),
    "a sum": lambda: behind(Residual(nn.Conv2d(16, 16, 1)), nn.BatchNorm2d(16)),
    "squeezed": lambda: behind(Squeezed(), nn.Conv2d(16, 8, 1), nn.BatchNorm2d(8)),
    "channels": lambda: nn.Sequential(
        *stem(), nn.Dropout2d(0.4), nn.Conv2d(16, 8, 3), nn.BatchNorm2d(8)
    ),
}  # fmt: skip


def last_norm(net):
    return next(
        path
        for path, module in reversed(list(net.named_modules()))
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
    )


@pytest.mark.parametrize("name", NETS)
def test_an_example_like_the_data_reaches_every_norm(name):
    data = [torch.randn(64, 3, 6, 6) + 0.5 for _ in range(12)]
    net = exact_statistics(NETS[name](), data)
    path = last_norm(net)
    site, seen = vs.predict(net, example=data[0])[path], vs.predict(net, data)[path]
    assert site.low <= seen.shift <= site.high
    assert site.shift == pytest.approx(seen.shift, abs=0.08)
    # the band says something: it does not hold all that is possible
    assert site.high - site.low < 0.5


@pytest.mark.parametrize("name", NETS)
def test_an_example_unlike_the_data_is_not_gone_by(name):
    data = [torch.randn(64, 3, 6, 6) + 0.5 for _ in range(4)]
    net = exact_statistics(NETS[name](), data)
    f = vs.predict(net, example=20 * torch.rand(8, 3, 6, 6))
    assert all(site.how != "example" for site in f.sites.values())
    assert "the example of 8 samples is too unlike" in f.notes[-1]
    for reason in f.skipped.values():
        assert "too unlike the data of training" in reason
        assert not ATEN.search(reason)


class Handwritten(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.BatchNorm1d(8), nn.BatchNorm1d(4)

    def forward(self, x):
        x = F.dropout(self.first(x), 0.5, self.training)
        x = x.unflatten(1, (2, 4)).amax(1)
        return self.last(x)


def test_a_refusal_names_the_line_where_no_module_is():
    data = [torch.randn(64, 8) for _ in range(4)]
    net = exact_statistics(Handwritten(), data)
    reason = vs.predict(net, example=9 * data[0]).skipped["last"]
    assert re.search(r"followed no further than \S*test_examples\.py:\d+ in the model", reason)


class Steep(nn.Module):
    def forward(self, x):
        return (1.5 * x).exp()


def test_an_example_that_evaluation_leads_astray_is_not_called_unlike():
    """What is stored is somewhat off, and what follows makes much of it."""
    net = nn.Sequential(nn.BatchNorm1d(8), Steep(), nn.Dropout(0.5), nn.BatchNorm1d(8))
    data = [torch.randn(4096, 8) for _ in range(8)]
    exact_statistics(net, data)
    net[0].running_var.mul_(0.7)
    f = vs.predict(net, example=data[0])
    assert "evaluation differs too much from training for one example" in f.notes[-1]
    assert all(site.how != "example" for site in f.sites.values())


def test_an_example_that_overflows_is_an_example_unlike_the_data():
    net = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.ReLU(), nn.BatchNorm1d(8))
    exact_statistics(net, [torch.randn(64, 8) for _ in range(8)])
    f = vs.predict(net, example=1e30 * torch.randn(16, 8))
    assert "unlike the data of training" in f.notes[-1]


def test_statistics_of_evaluation_are_told_from_an_example_unlike_the_data():
    net = nn.Sequential(nn.Dropout(0.8), nn.Linear(8, 8), nn.BatchNorm1d(8))
    data = [torch.randn(256, 8) for _ in range(8)]
    exact_statistics(net, data)
    assert vs.predict(net, example=data[0])["2"].how == "example"
    vs.recalibrate(net, data)
    assert "as after varshift.recalibrate" in vs.predict(net, example=data[0]).skipped["2"]


def passes_of(net, **asked):
    calls = []

    def forward(model, batch):
        calls.append(model.training)
        return model(batch)

    vs.predict(net, forward=forward, **asked)
    return calls.count(True), calls.count(False)


def test_how_often_an_example_passes():
    data = [torch.randn(64, 3, 6, 6) for _ in range(4)]
    net = exact_statistics(behind(nn.Conv2d(16, 8, 1), nn.BatchNorm2d(8)), data)
    assert passes_of(net, example=data[0]) == (1 + 1 + 2, 1)
    assert passes_of(net, example=data[0][:8]) == (1 + 1 + 4, 1)
    assert passes_of(net, example=data[0], noise={"*": 0.2}) == (2 + 1 + 2, 1)
    assert passes_of(net, example=99 * data[0]) == (1 + 1, 1)  # unlike: it shows the ways alone


def test_other_noise_is_predicted_on_an_example():
    data = [torch.randn(64, 3, 6, 6) for _ in range(8)]
    net = exact_statistics(behind(nn.Conv2d(16, 16, 1), nn.ReLU(), nn.Conv2d(16, 8, 1),
                                  nn.BatchNorm2d(8)), data)  # fmt: skip
    for noise in ({"3": 0.1}, {"3": 0.6}, {"3": nn.Dropout2d(0.4)}):
        site = vs.predict(net, example=data[0], noise=noise)["7"]
        seen = vs.predict(net, data, noise=noise)["7"]
        assert site.low <= seen.shift <= site.high
        assert site.shift == pytest.approx(seen.shift, abs=0.1)


class Reused(nn.Module):
    """One norm, first behind noise and then behind what it handed on."""

    def __init__(self):
        super().__init__()
        self.drop, self.norm, self.linear = nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 8)

    def forward(self, x):
        return self.norm(self.linear(self.norm(self.drop(x))).relu())


def test_a_norm_that_runs_twice_is_pooled_over_its_runs():
    data = [torch.randn(256, 8) + 0.2 for _ in range(16)]
    net = exact_statistics(Reused(), data)
    m, f = vs.measure(net, data * 2)["norm"], vs.predict(net, data)
    assert f["norm"].shift == pytest.approx(m.shift, abs=4 * m.shift_se + 0.01)
    assert "norm: runs more than once a pass; its inputs are pooled" in f.notes
    site = vs.predict(net, example=data[0])["norm"]
    assert site.how == "example"
    assert site.low <= m.shift <= site.high


@pytest.mark.parametrize("seed", [0, 1])
def test_bands_hold_on_trained_convolutions(seed):
    """Outputs of trained norms are far from Gaussian; pictures in two classes of stripes."""
    draw = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    label = torch.arange(400) % 2
    phase = 6 * torch.rand(400, 1, 1, generator=draw)
    across = (torch.arange(8.0) + phase).sin().expand(400, 8, 8)
    x = torch.where(label[:, None, None] == 0, across, across.mT)[:, None].contiguous()
    x = x + 0.2 * torch.randn(x.shape, generator=draw)
    net = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.Dropout(0.5),
        nn.Conv2d(12, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(12, 2),
    )  # fmt: skip
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, 40, 0.1)
    for _ in range(7):
        for rows in torch.arange(400).split(50):
            optimiser.zero_grad()
            F.cross_entropy(net(x[rows]), label[rows]).backward()
            optimiser.step()
            schedule.step()
    true = vs.measure(net, list(x.split(50)) * 4)["5"]
    for example in (x[:32], x[:8], torch.randn(16, 1, 8, 8, generator=draw)):
        site = vs.predict(net, example=example)["5"]
        assert site.low - 2 * true.shift_se <= true.shift <= site.high + 2 * true.shift_se
        assert site.how == "moments"
