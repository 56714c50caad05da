"""Fewer channels than half are off: the median says nothing of them, and evaluation suffers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import varshift as vs
from diagnose.nets import features, settled


class Joined(nn.Module):
    """Channels without noise beside channels behind dropout, in one norm."""

    def __init__(self, clean=12, noisy=8):
        super().__init__()
        self.clean, self.drop = clean, nn.Dropout(0.5)
        self.norm, self.out = nn.BatchNorm1d(clean + noisy), nn.Linear(clean + noisy, 3)

    def forward(self, x):
        return self.out(
            self.norm(torch.cat([x[:, : self.clean], self.drop(x[:, self.clean :])], 1))
        )


def received(model, data, path):
    """What a norm receives in evaluation: mean and variance, by a plain hook."""
    found = []
    hook = model.get_submodule(path).register_forward_pre_hook(
        lambda _, args: found.append(args[0])
    )
    with torch.no_grad():
        for batch in data:
            model.eval()(batch)
    hook.remove()
    x = torch.cat(found).double()
    return x.mean(0), x.var(0)


@pytest.fixture
def joined():
    data = features(20)
    torch.manual_seed(0)
    return settled(Joined().double(), data), data


def test_noise_in_some_channels_is_not_right_as_it_is(joined):
    model, data = joined
    ratio = received(model, data, "norm")[1] / model.norm.running_var
    logs = ratio.log()
    assert (
        float(torch.maximum(ratio, 1 / ratio).median()) < 1.01 < 1.5 < float(1 / ratio[12:].max())
    )
    d = vs.diagnose(model, data)
    assert (d.verdict, d.settled, d.advice[0].kind) == ("noise", (), "recalibrate")
    # Of the worst place and of what recalibrating mends: all channels together.
    overall = math.exp(float(logs.square().mean().sqrt()))
    assert d.advice[0].before == pytest.approx(overall, rel=0.02)
    assert d.worst[0].severity == pytest.approx(overall, rel=0.1)
    assert d.grade != "mild"
    vs.recalibrate(model, data)
    again = vs.diagnose(model, data)
    assert (again.settled, again.advice, again.grade) == (("norm",), (), "mild")


def test_measure_and_check_say_how_many(joined):
    model, data = joined
    m, found = vs.measure(model, data), vs.check(model, data=data)
    assert m["norm"].grade == "none"
    assert not found
    for notes in (m.notes, found.notes):
        said = [note for note in notes if note.startswith("norm: 8 of 20 channels are off")]
        assert len(said) == 1
    true = (m["norm"].train.var / m["norm"].test.var)[12:].quantile(0.5)
    assert f"severity {float(true):.2f}" in m.notes[[*m.notes].index(said[0])]


def test_nothing_is_said_where_nothing_shifts():
    data = features(20)
    model = settled(Joined().double(), data)
    model.drop.p = 0.0
    settled(model, data)
    for notes in (vs.measure(model, data).notes, vs.check(model, data=data).notes):
        assert not any("channels are off" in note for note in notes)


def test_stale_statistics_of_some_channels():
    data = features(20)
    torch.manual_seed(0)
    model = Joined().double()
    model.drop.p = 0.0
    settled(model, data)
    model.norm.running_var[:6] /= 4
    d = vs.diagnose(model, data)
    assert (d.verdict, d.settled) == ("staleness", ())
    assert [step.kind for step in d.advice][:1] == ["recalibrate"]
    assert d.worst[0].severity == pytest.approx(4 ** math.sqrt(6 / 20), rel=0.02)
    notes = vs.check(model, data=data).notes
    assert any("6 of 20 channels are off in the stored variance" in note for note in notes)


def test_means_of_some_channels():
    data = features(20)
    torch.manual_seed(0)
    model = Joined().double()
    model.drop.p = 0.0
    settled(model, data)
    model.norm.running_mean[:6] += model.norm.running_var[:6].sqrt()
    d = vs.diagnose(model, data)
    assert (d.verdict, d.settled, d.advice[0].kind) == ("staleness", (), "recalibrate")
    assert d.advice[0].before == pytest.approx(1 + math.sqrt(6 / 20), rel=0.02)


class Pooled(nn.Module):
    """Norms of images, and one of what is left of each image: few values in a small batch."""

    def __init__(self):
        super().__init__()
        self.images = nn.Sequential(
            *(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
            *(nn.Conv2d(16, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU()),
        )
        self.line, self.norm, self.out = nn.Linear(16, 16), nn.BatchNorm1d(16), nn.Linear(16, 3)

    def forward(self, x):
        return self.out(self.norm(self.line(self.images(x).mean((2, 3)))).relu())


def test_small_batches_are_not_at_fault_for_what_fits():
    """The last norm meets in training what the others make of every batch by itself."""
    torch.manual_seed(0)
    contrast = 0.4 + torch.rand(640, 1, 1, 1, dtype=torch.float64)
    data = list((torch.randn(640, 3, 8, 8, dtype=torch.float64) * contrast).split(4))
    model = settled(Pooled().double(), data, rounds=1)
    vs.recalibrate(model, data)
    mean, var = received(model, data, "norm")
    torch.testing.assert_close(model.norm.running_mean, mean, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(model.norm.running_var, var, rtol=1e-9, atol=0)
    d = vs.diagnose(model, data)
    assert (d.verdict, d.grade, d.advice) == ("small-batch", "mild", ())
    assert "norm" in d.settled
    said = " ".join(str(d).split())
    assert "or recalibrate" not in said
    assert "for the statistics stored" not in said
