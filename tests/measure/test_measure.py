"""Measured moments against hooks and concatenation, and shifts against theory."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

import varshift as vs
from problems.noisy_nets import ByHand, Conv, Mlp, Twice
from varshift.theory import dropout_ratio, linear_noise_energy, severity


def capture(net, batches, path, training):
    """The plain way: what the norm receives, batch by batch, with the flags of one mode."""
    received = []
    norm = net.get_submodule(path)
    hook = norm.register_forward_pre_hook(
        lambda _, inputs: received.append(inputs[0].double().transpose(0, 1).flatten(1))
    )
    net.train(training)
    with torch.no_grad():
        for batch in batches:
            net(batch)
    hook.remove()
    return received


@pytest.mark.parametrize("path", ["first", "second", "third", "fourth"])
def test_test_moments_are_those_of_plain_evaluation(path):
    torch.manual_seed(0)
    net, batches = Conv(), torch.randn(50, 3, 12, 12).split([20, 20, 10])
    site = vs.measure(net, batches)[path]
    received = capture(net, batches, path, training=False)
    whole = torch.cat(received, 1)
    torch.testing.assert_close(site.test.mean, whole.mean(1), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(site.test.var, whole.var(1), rtol=1e-6, atol=0)
    within = sum(x.var(1) * x.shape[1] for x in received) / whole.shape[1]
    torch.testing.assert_close(site.test.within, within, rtol=1e-6, atol=0)
    assert site.test.count == whole.shape[1]
    assert torch.equal(site.stored.var, torch.ones(len(within), dtype=torch.float64))


def test_train_moments_are_those_of_plain_training():
    torch.manual_seed(0)
    net, x = Conv(), torch.randn(30, 3, 12, 12)
    torch.manual_seed(7)
    site = vs.measure(net, [x])["fourth"]  # one batch: the training pass draws first
    torch.manual_seed(7)
    (received,) = capture(net, [x], "fourth", training=True)
    torch.testing.assert_close(site.train.mean, received.mean(1), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(site.train.var, received.var(1), rtol=1e-6, atol=0)


def test_figures_are_what_they_say():
    torch.manual_seed(0)
    net = Mlp()
    site = vs.measure(net, torch.randn(600, 8).split(50))["body.5"]
    delta = site.test.var / site.train.var
    torch.testing.assert_close(site.delta, delta)
    middle = sorted(delta.tolist())[11:13]
    assert site.shift == pytest.approx(sum(middle) / 2)
    assert site.severity == pytest.approx(float(severity(delta).quantile(0.5)))
    ratio = float(site.test.within.mean() / site.stored.var.mean())
    assert site.paper == pytest.approx(max(ratio, 1 / ratio))


@pytest.mark.parametrize("drop_p", [0.2, 0.5])
def test_placement_a_agrees_with_theory(drop_p):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Dropout(drop_p), nn.BatchNorm1d(5))
    x = torch.randn(20000, 5) * torch.arange(1.0, 6.0) + torch.arange(5.0)
    site = vs.measure(net, x.split(500))["1"]
    expected = dropout_ratio(x.double().mean(0), x.double().var(0), drop_p / (1 - drop_p))
    assert ((site.delta - expected).abs() < 5 * site.delta_se).all()
    assert (site.delta_se < 0.02).all()


def test_placement_b_agrees_with_theory():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 4), nn.BatchNorm1d(4))
    x = torch.randn(20000, 6) + 1
    site = vs.measure(net, x.split(500))["2"]
    energy = linear_noise_energy(x.double(), net[1].weight.detach().double(), "element")
    expected = site.test.var / (site.test.var + energy)
    assert ((site.delta - expected).abs() < 5 * site.delta_se).all()


def test_no_noise_no_shift_and_it_says_so():
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4)), torch.randn(300, 6)
    m = vs.measure(net, x.split(50))
    assert m["1"].shift == pytest.approx(1.0, abs=1e-6)
    assert any("no shift by noise is expected" in note for note in m.notes)


def test_standard_errors_match_the_spread_of_repetitions():
    # 200 independent repetitions: their spread is known to 5 %, and a jackknife over 16 groups to
    # about 20 % for one repetition; the mean of 200 of them must agree within 25 %.
    torch.manual_seed(0)
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 6), nn.BatchNorm1d(6))
    figures, errors = [], []
    for _ in range(200):
        torch.rand(1)  # measure gives the generator back; move it between repetitions
        torch.manual_seed(int(torch.randint(1 << 30, ())))
        site = vs.measure(net, torch.randn(320, 4).split(20))["2"]
        figures.append([site.shift, site.severity, float(site.delta[0])])
        errors.append([site.shift_se, site.severity_se, float(site.delta_se[0])])
    spread = torch.tensor(figures).std(0)
    claimed = torch.tensor(errors).square().mean(0).sqrt()
    assert ((claimed / spread - 1).abs() < 0.25).all(), claimed / spread


@pytest.mark.parametrize("sizes", [64, 1, [64, 10, 3]])
def test_errors_are_finite_for_few_and_small_batches(sizes):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm2d(3))
    x = torch.randn(77 if isinstance(sizes, list) else 64, 3, 6, 6)
    site = vs.measure(net, x.split(sizes))["1"]
    assert math.isfinite(site.shift_se)
    assert site.shift_se > 0


def test_a_single_sample_has_no_error():
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm2d(3))
    assert math.isnan(vs.measure(net, [torch.randn(1, 3, 6, 6)])["1"].shift_se)


def test_dead_channels_are_named_and_left_out():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 4), nn.BatchNorm1d(4))
    with torch.no_grad():
        net[1].weight[2] = 0
    site = vs.measure(net, torch.randn(500, 6).split(50))["2"]
    assert site.dead == (2,)
    assert math.isnan(site.delta[2])
    live = site.delta[site.live]
    assert site.shift == pytest.approx(float(live.quantile(0.5)))


def test_noise_on_a_constant_channel_is_a_shift_and_not_death():
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(2))
    x = torch.randn(400, 2)
    x[:, 0] = 3
    site = vs.measure(net, x.split(50))["1"]
    assert site.dead == ()
    assert float(site.delta[0]) == 0.0


def test_frozen_reused_functional_and_unreached():
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4), nn.BatchNorm1d(4)).train()
    net[2].eval()
    m = vs.measure(net, torch.randn(100, 4).split(20))
    assert m.structure.norm("2").frozen
    assert set(m.sites) == {"1", "2"}
    m = vs.measure(Twice(), torch.randn(100, 4).split(20))
    assert m["norm"].train.count == 200
    assert any("more than once" in note for note in m.notes)
    m = vs.measure(ByHand(), torch.randn(100, 6).split(20))
    assert set(m.sites) == {"m", "last"}
    assert m["last"].test.count == 500


def test_noise_that_stays_on_in_evaluation_is_named():
    class Always(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(4)

        def forward(self, x):
            return self.norm(functional.dropout(x, 0.5))

    m = vs.measure(Always(), torch.randn(200, 4).split(50))
    assert any("stays on in eval mode (dropout in the model)" in note for note in m.notes)
    assert 0.8 < m["norm"].shift < 1.25


def test_lent_in_either_mode_it_is_measured_alike():
    torch.manual_seed(0)
    net, x = Mlp(), torch.randn(200, 8)
    torch.manual_seed(3)
    one = vs.measure(net.train(), x.split(50))
    torch.manual_seed(3)
    other = vs.measure(net.eval(), x.split(50))
    assert [site.shift for site in one.sites.values()] == [
        site.shift for site in other.sites.values()
    ]


def test_progress_counts_up():
    seen = []
    vs.measure(Mlp(), torch.randn(40, 8).split(10), progress=lambda *done: seen.append(done))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_memory_does_not_grow_with_samples():
    from varshift._engine.batches import Batch
    from varshift._engine.record.bank import Bank
    from varshift._engine.record.tally import GROUPS

    bank = Bank("train")
    for index in range(100):
        bank.begin(Batch(index, None, 8))
        bank.add("norm", torch.randn(8, 3))
        bank.end()
    assert len(bank["norm"].means) == GROUPS
    assert bank["norm"].count == 800


def test_nothing_to_measure():
    with pytest.raises(vs.ModelError, match="has no BatchNorm"):
        vs.measure(nn.Linear(3, 3), [torch.randn(4, 3)])
    net = nn.ModuleDict({"used": nn.Linear(3, 3), "norm": nn.BatchNorm1d(3)})
    with pytest.raises(vs.ModelError, match="reached none of the 1"):
        vs.measure(net, [torch.randn(4, 3)], forward=lambda model, x: model["used"](x))
    with pytest.raises(vs.ModelError, match="nothing to recalibrate"):
        vs.recalibrate(nn.Linear(3, 3), [torch.randn(4, 3)])


def test_results_are_plain():
    m = vs.measure(Mlp(), torch.randn(100, 8).split(20))
    held = json.loads(json.dumps(m.to_dict(), allow_nan=False))
    assert held["schema"] == "varshift.measurement/1"
    assert {"sites", "noises", "norms", "routes"} <= set(held)
    assert list(m.to_frame()["site"]) == ["body.1", "body.5", "body.9"]
    with pytest.raises(vs.UsageError, match="no norm site 'x'"):
        m["x"]
    r = vs.recalibrate(Mlp(), torch.randn(100, 8).split(20))
    json.dumps(r.to_dict(), allow_nan=False)


def test_lines_are_the_users_own():
    """The tap stands between torch and the user's code, and must not be named as the culprit."""
    net, x = ByHand(), torch.randn(16, 6)
    (seen,) = vs.inspect(net, x).noises
    assert seen.line is not None
    assert seen.line.file.endswith("noisy_nets.py")
    assert "functional.dropout" in seen.line.code
    assert vs.measure(net, [x]).structure.noises == (seen,)
    assert vs.explain(net, [x]).structure.noises == (seen,)


class Switched(nn.Module):
    """Training passes on nothing that varies; no draw is shared, for none is made."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(torch.ones_like(x) if self.training else x)


def test_a_shift_without_bound_does_not_put_its_errors_down_to_draws():
    batches = torch.randn(64, 4).split(8)
    m = vs.measure(Switched(), batches)
    assert m["norm"].shift == math.inf
    assert not any("errors are not known" in note for note in m.notes)
    torch.manual_seed(0)  # of two samples masks may leave a channel nothing, and no bound either
    m = vs.measure(nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4)), [torch.randn(2, 4)])
    (said,) = [note for note in m.notes if "errors are not known" in note]
    assert said.startswith("errors are not known: there are too few samples")
