"""The severity of each rule against a formula written out here, or against the stored numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

import varshift as vs
from problems.noisy_nets import Mlp
from problems.settling import settled
from varshift._draw import sarif


def only(found, code):
    assert [f.code for f in found] == [code], list(found)
    return found.findings[0]


def severity(ratio):
    return float(torch.maximum(ratio, 1 / ratio).quantile(0.5))


def test_vs101_is_the_law_of_placement_a():
    x = torch.randn(4000, 6) * torch.arange(1.0, 7.0) + torch.linspace(-3, 3, 6)
    found = vs.check(nn.Sequential(nn.Dropout(0.3), nn.BatchNorm1d(6)), x)
    v, c, tau = x.double().var(0), x.double().mean(0), 0.3 / 0.7
    f = only(found, "VS101")
    assert f.severity == pytest.approx(severity(v / (v + tau * (c.square() + v))), rel=1e-3)
    assert (f.how, f.basis, f.noises, f.place) == ("law (a)", "example", ("0",), "1")
    assert f.shift == pytest.approx(float((v / (v + tau * (c.square() + v))).quantile(0.5)), 1e-3)


def test_vs102_is_the_noise_energy():
    x = torch.randn(4000, 8) + 0.5
    linear = nn.Linear(8, 5).double()
    found = vs.check(nn.Sequential(nn.Dropout(0.5), linear, nn.BatchNorm1d(5).double()), x.double())
    w = linear.weight.detach()
    test = torch.func.functional_call(linear, dict(linear.named_parameters()), x.double())
    energy = w.square() @ x.double().square().mean(0)
    ratio = 1 + 1.0 * energy / test.detach().var(0)
    assert only(found, "VS102").severity == pytest.approx(severity(ratio), rel=1e-3)


def test_vs103_is_told_by_what_shares_a_draw():
    net = nn.Sequential(nn.Dropout2d(0.5), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    x = torch.randn(32, 3, 10, 10)
    f = only(vs.check(net, x), "VS103")
    weight = net[1].weight.detach()
    parts = [
        nn.functional.conv2d(x[:, c : c + 1], weight[:, c : c + 1]).square().mean((0, 2, 3))
        for c in range(3)
    ]
    test = nn.functional.conv2d(x, weight).var((0, 2, 3))
    assert f.severity == pytest.approx(severity(1 + sum(parts) / test), rel=1e-2)


class Depth(nn.Module):
    """Stochastic depth by hand, and an identity path of `signal`."""

    def __init__(self, signal=0.0):
        super().__init__()
        self.norm, self.signal = nn.BatchNorm1d(4), signal

    def forward(self, x):
        keep = torch.full((len(x), 1), 0.5)
        y = x * torch.bernoulli(keep) / 0.5 if self.training else x
        return self.norm(y + self.signal * x)


def test_vs104_adds_what_one_draw_per_sample_adds():
    x = torch.randn(4000, 4)
    f = only(vs.check(Depth(), x), "VS104")
    assert f.severity == pytest.approx(2.0, rel=0.05)  # mean 0: 1/keep_p
    f = only(vs.check(Depth(1.0), x), "VS104")
    assert f.severity == pytest.approx(1.25, rel=0.05)  # 2x and x/keep: (4 + 1)/4
    assert len(vs.check(Depth(3.0), x)) == 0  # (16 + 1)/16 = 1.06


def test_vs105_and_vs106_are_told_by_the_norm_between():
    def net(between):
        return nn.Sequential(
            nn.Linear(8, 64), nn.Dropout(0.8), between, nn.Linear(64, 32), nn.BatchNorm1d(32)
        )

    x = torch.randn(2048, 8)
    f = only(vs.check(net(nn.LayerNorm(64)), x), "VS105")
    assert f.low > 1.1
    carried = {g.code: g for g in vs.check(net(nn.BatchNorm1d(64)), x)}
    assert carried.keys() == {"VS101", "VS106"}
    assert carried["VS101"].severity == pytest.approx(5.0, rel=0.1)  # nearly mean 0: 1/keep_p
    assert carried["VS106"].place == "4"


def test_what_is_carried_on_is_one_finding():
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8))
    for _ in range(3):
        net.extend([nn.Linear(8, 8), nn.BatchNorm1d(8)])
    found = {f.code: f for f in vs.check(net, torch.randn(2048, 8))}
    assert found.keys() == {"VS101", "VS106"}
    assert {found["VS106"].place, *found["VS106"].also} == {"3", "5", "7"}


class LayerDrop(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.norm, self.factor = nn.BatchNorm1d(4), factor

    def forward(self, x):
        if not self.training or torch.rand(()) > 0.5:
            x = self.factor * x
        return self.norm(x)


def test_vs107_is_sized_by_drawing():
    x = torch.randn(512, 4)
    f = only(vs.check(LayerDrop(2.0), x), "VS107")
    # Half of the draws have variance 4, half 1: 4/2.5, within what 32 draws allow.
    assert f.severity == pytest.approx(1.6, rel=0.25)
    assert f.low <= f.severity <= f.high
    quiet = vs.check(LayerDrop(1.01), x)
    assert len(quiet) == 0
    assert any("decides in Python what runs" in note for note in quiet.notes)


def test_vs201_and_vs204_compare_with_the_initial_one():
    x = 3 * torch.randn(4000, 4)
    f = only(vs.check(nn.Sequential(nn.BatchNorm1d(4, momentum=0.0)), x), "VS201")
    assert f.severity == pytest.approx(9.0, rel=0.05)
    frozen = nn.Sequential(nn.BatchNorm1d(4)).train()
    frozen[0].eval()
    f = only(vs.check(frozen, x), "VS204")
    assert f.severity == pytest.approx(9.0, rel=0.05)
    assert not frozen[0].training
    assert len(vs.check(frozen.train(), x)) == 0  # not trained yet, and nothing in its way


def test_vs202_inverts_the_recursion_exactly():
    x = 2 * torch.randn(64, 4)
    net = settled(nn.Sequential(nn.BatchNorm1d(4, momentum=0.01)), [x], 50)
    f = only(vs.check(net, x), "VS202")
    assert f.severity == pytest.approx(severity(x.var(0) / net[0].running_var), rel=1e-4)
    assert (f.how, f.basis, f.low) == ("inverted", "checkpoint", None)
    assert "after 50 steps" in f.message
    f = only(vs.check(net, data=[x] * 2), "VS202")  # measured, and called by the same name
    assert f.basis == "data"
    assert len(vs.check(settled(net, [x], 1000), x)) == 0


def test_vs202_says_so_where_the_average_cannot_have_started_at_one():
    net = nn.Sequential(nn.BatchNorm1d(4, momentum=0.1))
    net[0].running_var.fill_(0.01)
    net[0].num_batches_tracked.fill_(20)
    found = vs.check(net, torch.randn(64, 4))
    assert len(found) == 0
    assert any("did not start at variance 1" in note for note in found.notes)


def test_vs203_and_vs206_take_data():
    x = [torch.randn(64, 4) for _ in range(8)]
    net = settled(nn.Sequential(nn.BatchNorm1d(4, momentum=None)), x, 5)
    more = [3 * batch for batch in x]
    assert len(vs.check(net, data=x)) == 0
    f = only(vs.check(net, data=more), "VS203")
    assert f.severity == pytest.approx(9.0, rel=0.1)
    assert any("pass data" in note for note in vs.check(net, more[0]).notes)
    net = settled(nn.Sequential(nn.BatchNorm1d(4)), x, 20)
    assert len(vs.check(net, data=x)) == 0
    assert only(vs.check(net, data=more), "VS206").severity == pytest.approx(9.0, rel=0.3)


class PerMode(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = nn.BatchNorm1d(4), nn.BatchNorm1d(4)

    def forward(self, x):
        return self.one(x) if self.training else self.other(3 * x)


def test_vs205_is_a_norm_that_evaluation_alone_runs():
    f = only(vs.check(PerMode(), torch.randn(4000, 4)), "VS205")
    assert (f.place, f.severity) == ("other", pytest.approx(9.0, rel=0.05))
    net = nn.Sequential(nn.BatchNorm1d(4))
    net.unused = nn.BatchNorm1d(4)
    net.forward = lambda x: net[0](x)
    quiet = vs.check(net, torch.randn(64, 4))
    assert len(quiet) == 0
    assert "unused: the example never reached it" in quiet.notes


def test_vs301_is_the_bias_of_a_relu():
    """Dropout 0.5 of 1 before x → relu(x − 1): 0 at test, half of 1 in training."""
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1))
    with torch.no_grad():
        for layer, weight, bias in ((net[1], 1.0, -1.0), (net[3], 1.0, 0.0)):
            layer.weight.fill_(weight)
            layer.bias.fill_(bias)
    x = torch.ones(4000, 1)
    f = only(vs.check(net, x), "VS301")
    # In training 0 or 1 by halves: mean ½, deviation ½; at test 0: a bias of one deviation.
    assert f.severity == pytest.approx(2.0, rel=0.1)
    assert f.noises == ("0",)
    wide = nn.Sequential(*net, nn.Linear(1, 3))
    assert len(vs.check(wide, x)) == 0
    assert len(vs.check(wide, x, task="regression")) == 1
    behind = nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))
    assert len(vs.check(behind, x)) == 0


def test_a_checkpoint_alone_gives_what_data_measures():
    x = [torch.randn(256, 8) for _ in range(8)]
    net = settled(Mlp(), x, 20)
    alone, measured = vs.check(net, x[0]), vs.check(net, data=x)
    first = {f.place: f for f in measured}["body.5"]
    f = {f.place: f for f in alone}["body.5"]
    assert (f.basis, f.how, first.basis, first.how) == (
        *("checkpoint", "moments"),
        *("data", "measured"),
    )
    assert f.severity == pytest.approx(first.severity, rel=0.1)
    assert f.low < f.severity < f.high


def test_data_may_also_say_that_evaluation_is_right():
    x = [torch.randn(256, 8) for _ in range(8)]
    net = settled(nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8)), x, 20)
    vs.recalibrate(net, x)
    found = vs.check(net, data=x)
    assert only(found, "VS101").severity == pytest.approx(2.0, rel=0.1)
    assert any("evaluation is right as it is" in note for note in found.notes)


def test_presence_is_no_finding():
    net = nn.Sequential(nn.Dropout(0.02), nn.BatchNorm1d(8))
    x = torch.randn(2048, 8)
    assert len(vs.check(net, x)) == 0
    assert len(vs.check(net, x, max_severity=1.01)) == 1


def test_noise_that_stays_on_is_said():
    class Always(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(4)

        def forward(self, x):
            return self.norm(nn.functional.dropout(x, 0.5))

    found = vs.check(Always(), torch.randn(512, 4))
    assert len(found) == 0
    assert any("noise stays on in eval mode" in note for note in found.notes)


@pytest.mark.parametrize("given", ["example", "data"])
def test_frozen_norms_have_no_shift_of_their_own(given):
    """Nothing updates their statistics: training and test divide by the same."""
    x = torch.randn(512, 4)
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4))
    lent = {"example": x} if given == "example" else {"data": [x, x]}
    assert only(vs.check(net, **lent), "VS101")
    net[1].eval()
    assert len(vs.check(net, **lent, select=["VS1"])) == 0
    drawn = LayerDrop(2.0)
    if given == "example":  # two batches are too few draws to be sure
        assert only(vs.check(drawn, **lent, select=["VS107"]), "VS107")
    drawn.norm.eval()
    assert len(vs.check(drawn, **lent, select=["VS107"])) == 0


@pytest.mark.parametrize("given", ["example", "data"])
def test_a_variance_of_noise_alone_is_infinitely_worse(given):
    """Inputs that stand still: Δ = 0/τc², and no NaN in any format."""
    x = torch.full((256, 4), 3.0)
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4))
    found = vs.check(net, **({"example": x} if given == "example" else {"data": [x, x]}))
    f = only(found, "VS101")
    assert (f.shift, f.severity) == (0.0, math.inf)
    assert "nan" not in f.message
    log = sarif(found, Path.cwd())["runs"][0]["results"][0]
    assert json.loads(json.dumps(log, allow_nan=False))["properties"]["severity"] is None


def test_causes_that_have_nothing_in_common_are_two_findings():
    class Towers(nn.Module):
        def __init__(self):
            super().__init__()

            def tower():
                return nn.Sequential(
                    *(nn.Dropout(0.7), nn.BatchNorm1d(8)),
                    *(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 8), nn.BatchNorm1d(8)),
                )

            self.one, self.other = tower(), tower()

        def forward(self, x):
            return self.one(x), self.other(x)

    found = vs.check(Towers(), torch.randn(2048, 8)).by_code()["VS106"]
    assert {f.noises for f in found} == {("one.0",), ("other.0",)}
    for f in found:
        tower = f.noises[0].partition(".")[0]
        assert {f.place, *f.also} == {f"{tower}.3", f"{tower}.5"}


def test_a_bias_is_not_said_to_be_nothing():
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(1, 1), nn.ReLU())
    with torch.no_grad():
        net[1].weight.fill_(1.0)
        net[1].bias.fill_(-1.0)
    found = vs.check(net, torch.ones(4000, 1))
    only(found, "VS301")
    assert not any("nothing can shift" in note for note in found.notes)
    quiet = vs.check(nn.Sequential(nn.Linear(1, 1)), torch.ones(16, 1))
    assert any("nothing can shift" in note for note in quiet.notes)


def test_a_recalibrated_checkpoint_is_sized_on_the_example():
    """Its running_var has no noise in it to take out."""
    x = [torch.randn(256, 8) for _ in range(8)]
    net = settled(Mlp(), x, 20)
    assert {f.basis for f in vs.check(net, x[0])} == {"checkpoint"}
    vs.recalibrate(net, x)
    alone = vs.check(net, x[0])
    assert {f.basis for f in alone} == {"example"}
    assert any("computed from the example" in note for note in alone.notes)
    measured = {f.place: f for f in vs.check(net, data=x)}["body.5"].severity
    f = {f.place: f for f in alone}["body.5"]
    assert f.severity == pytest.approx(measured, rel=0.05)


def test_dropout_of_everything_is_said():
    net = nn.Sequential(nn.Dropout(1.0), nn.BatchNorm1d(4))
    notes = vs.check(net, torch.randn(64, 4)).notes
    assert any(note.startswith("0: drop_p is 1, so nothing passes") for note in notes)
