"""Norms that normalise by code of their own are met, advised on and rewritten as what they are."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import varshift as vs
from problems.other_norms import (
    Absolute,
    InPlace,
    Keeping,
    KeepingByCall,
    OwnArithmetic,
    OwnInTraining,
)
from varshift.results import NoteKind, UnseenKind

DATA = [torch.randn(32, 8, generator=torch.Generator().manual_seed(n)).double() for n in range(12)]
SUBCLASSES = [OwnArithmetic, OwnInTraining]


def net(norm, *, drop_p=0.5, data=DATA):
    """Two norms, dropout between, and what training on the data leaves stored."""
    torch.manual_seed(0)
    made = nn.Sequential(
        *(nn.Linear(8, 16), norm(16), nn.ReLU(), nn.Dropout(drop_p), nn.Linear(16, 16)),
        *(norm(16), nn.ReLU(), nn.Linear(16, 3)),
    ).double()
    with torch.no_grad():
        for batch in data * 8:
            made(batch)
    return made


def twin(model):
    """The same network with torch's own norms."""
    made = net(nn.BatchNorm1d)
    made.load_state_dict(model.state_dict())
    return made


def received(model, path, batches=DATA):
    """What a norm receives in evaluation, by a plain hook."""
    got = []
    hook = model.get_submodule(path).register_forward_pre_hook(lambda _, x: got.append(x[0]))
    model.eval()
    with torch.no_grad():
        for batch in batches:
            model(batch)
    hook.remove()
    model.train()
    return torch.cat([x.clone() for x in got])


@pytest.mark.parametrize("norm", SUBCLASSES)
def test_a_subclass_that_computes_itself_is_a_norm_site(norm):
    model = net(norm)
    m = vs.measure(model, DATA)
    assert [(n.path, n.kind, n.calls, n.frozen, n.momentum) for n in m.structure.norms] == [
        ("1", norm.__name__, 1, False, 0.1),
        ("5", norm.__name__, 1, False, 0.1),
    ]
    assert [(r.noise, r.norm, r.placement) for r in m.structure.routes] == [("3", "5", "b")]
    assert torch.allclose(m["5"].test.var, received(model, "5").var(0), rtol=1e-10)
    usual = vs.measure(twin(model), DATA)["5"]
    assert m["5"].severity == pytest.approx(usual.severity, rel=0.15)
    assert not m.notes


@pytest.mark.parametrize("norm", SUBCLASSES)
def test_its_verdict_is_that_of_torchs_own(norm):
    model = net(norm)
    codes = [(f.code, f.place) for f in vs.check(model, data=DATA)]
    assert codes == [(f.code, f.place) for f in vs.check(twin(model), data=DATA)]
    d = vs.diagnose(model, DATA)
    assert (d.verdict, d.advice[0].line) == ("noise", "vs.recalibrate(model, data)")


def test_one_whose_momentum_is_zero_was_never_updated():
    model = net(lambda channels: OwnArithmetic(channels, momentum=0.0))
    assert "VS201" in {f.code for f in vs.check(model, data=DATA)}
    assert not any(n.frozen for n in vs.inspect(model, DATA[0]).norms)


@pytest.mark.parametrize("norm", SUBCLASSES)
def test_its_statistics_are_renewed_as_torchs_own_are(norm):
    model = net(norm)
    usual = twin(model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    r = vs.recalibrate(model, DATA)
    vs.recalibrate(usual, DATA)
    assert (sorted(r.sites), r.skipped) == (["1", "5"], {})
    for path in ("1", "5"):
        x = received(model, path)
        ours, theirs = model.get_submodule(path), usual.get_submodule(path)
        assert torch.allclose(ours.running_mean, x.mean(0), rtol=1e-10, atol=1e-12)
        assert torch.allclose(ours.running_var, x.var(0), rtol=1e-10)
        assert torch.allclose(ours.running_var, theirs.running_var, rtol=1e-10)
    r.undo()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_they_are_renewed_one_by_one_as_well(monkeypatch):
    monkeypatch.setattr("varshift._engine.settling.can_stop_inside", lambda: False)
    model = net(OwnArithmetic)
    vs.recalibrate(model, DATA)
    assert torch.allclose(model[5].running_var, received(model, "5").var(0), rtol=1e-10)


def test_one_that_evaluates_otherwise_is_measured_and_left_alone():
    model = net(Absolute)
    held = model[5].running_var.clone()
    assert vs.measure(model, DATA)["5"].shift < 0.9
    r = vs.recalibrate(model, DATA)
    assert torch.equal(model[5].running_var, held)
    assert "does not do what torch's BatchNorm does" in r.skipped["5"]
    d = vs.diagnose(model, DATA)
    assert "recalibrate" not in [step.kind for step in d.advice]


def test_what_was_run_and_not_met_is_not_called_unreached():
    model = net(InPlace)
    s = vs.inspect(model, DATA[0])
    assert not [n for n in s.notes if n.kind is NoteKind.UNREACHED]
    assert {n.about for n in s.notes if n.kind is NoteKind.BY_HAND} == {"1", "5"}
    with pytest.raises(vs.errors.ModelError, match="holds running statistics, but was not met"):
        vs.measure(model, DATA)


class ByKeyword(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop, self.norm = nn.Dropout(0.5), OwnArithmetic(8)

    def forward(self, x):
        return self.norm(x=self.drop(x))


def test_input_may_be_given_by_keyword():
    model = ByKeyword().double()
    assert [n.calls for n in vs.inspect(model, DATA[0]).norms] == [1]
    assert "norm" in vs.recalibrate(model, DATA).sites


# Advice that can be followed -------------------------------------------------------------------


def test_what_recalibrate_leaves_alone_is_not_told_to_recalibrate():
    model = net(Keeping)
    d = vs.diagnose(model, DATA)
    assert d.verdict == "noise"
    assert "recalibrate" not in [step.kind for step in d.advice]
    assert "5" in next(u.about for u in d.unseen if u.kind is UnseenKind.KEPT_NORM)
    with pytest.raises(vs.errors.ModelError, match="written by hand"):
        vs.recalibrate(model, DATA)


def test_instance_norms_are_told_to_keep_no_statistics():
    torch.manual_seed(0)
    norm = nn.InstanceNorm1d(8, track_running_stats=True)
    model = nn.Sequential(nn.Conv1d(4, 8, 3), nn.Dropout(0.6), norm).double()
    data = [torch.randn(16, 4, 12).double() + 1 for _ in range(8)]
    for batch in data * 8:
        model(batch)
    d = vs.diagnose(model, data)
    kinds = [step.kind for step in d.advice]
    assert d.verdict == "noise"
    assert "recalibrate" not in kinds
    assert "drop-running-statistics" in kinds


# Momentum ----------------------------------------------------------------------------------------

SCATTERED = [batch + torch.randn(1, 8, dtype=torch.float64) / 2 for batch in DATA]


@pytest.mark.parametrize("norm", [Keeping, KeepingByCall])
def test_momentum_is_what_an_update_does(norm):
    model = net(norm, drop_p=0.0, data=SCATTERED)
    s = vs.inspect(model, DATA[0])
    assert [n.momentum for n in s.norms] == pytest.approx([0.1, 0.1])
    x = vs.explain(model, SCATTERED)
    assert not any("keeps little but the last batch" in note for note in x.notes)
    found = vs.check(model, data=SCATTERED)
    usual = vs.check(twin_of_keeping(model), data=SCATTERED)
    assert [f.code for f in found] == [f.code for f in usual]


def twin_of_keeping(model):
    made = net(lambda channels: nn.BatchNorm1d(channels, affine=False), drop_p=0.0)
    made.load_state_dict(model.state_dict(), strict=False)
    return made


def test_a_large_momentum_is_told_whatever_it_is_called():
    (first, _) = vs.inspect(net(lambda c: Keeping(c, 0.2), drop_p=0.0), DATA[0]).norms
    assert first.momentum == pytest.approx(0.8)


class Delayed(Keeping):
    """An update that is no step towards the batch's mean."""

    def forward(self, x):
        if self.training:
            self.running_mean.add_(torch.linspace(-1, 1, len(self.running_mean)))
        return (x - self.running_mean) / (self.running_var + 1e-5).sqrt()


def test_of_an_update_that_is_no_average_no_momentum_is_known():
    model = net(Delayed, drop_p=0.0)
    (first, _) = vs.inspect(model, DATA[0]).norms
    assert math.isnan(first.momentum)
    assert vs.inspect(model, DATA[0]).to_dict()["norms"][0]["momentum"] is None
    x = vs.explain(model, DATA)
    assert all("Momentum is" not in why.sentence for why in x.stale.values())
    vs.check(model, data=DATA)


# Noise through what keeps no statistics ----------------------------------------------------------


@pytest.mark.parametrize("between", [nn.LayerNorm(32), nn.GroupNorm(4, 32)])
def test_noise_through_norms_without_statistics_is_named(between):
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.7), between, nn.Linear(32, 32)),
        nn.BatchNorm1d(32),
    ).double()
    m = vs.measure(model, DATA)
    assert [r.placement for r in m.structure.routes] == ["through-norm"]
    said = next(note for note in m.notes if note.startswith("noise reaches"))
    assert f"2 through 3 ({type(between).__name__}) to 5" in said
    assert not any("no active noise" in note for note in m.notes)


def test_a_monitor_takes_two_passes_for_it():
    model = net(OwnArithmetic)
    monitor = vs.Monitor(model, budget=1.0)
    for batch in DATA * 5:
        model(batch)
        monitor.step(batch)
    assert any("computes itself" in note for note in monitor.notes)
    assert monitor.metrics()["varshift/severity/5"] > 1.1
