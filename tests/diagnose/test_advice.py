"""Every cause has its steps, and none that what was found does not support."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs
from diagnose.nets import chain, direct, features, settled
from problems.causes import planted
from varshift._diagnose.steps import STEPS
from varshift.results import UnseenKind
from varshift.results.explanation import CAUSES, FOUND


def kinds(d):
    return [step.kind for step in d.advice]


def test_every_cause_has_steps():
    assert set(STEPS) == {*CAUSES, *FOUND}


def test_three_steps_at_most_the_largest_gain_first():
    data = features(8)
    d = vs.diagnose(settled(chain(0.6), data), data)
    assert kinds(d) == ["recalibrate", "relocate", "lower-rate"]
    gains = [round(step.gain, 1) for step in d.advice]
    assert gains[1:] == sorted(gains[1:], reverse=True)
    assert gains[0] > 0.5 * max(gains)  # it takes no training
    assert all(step.before.se >= 0 and step.after.se >= 0 for step in d.advice)


@pytest.mark.parametrize("kind", ["recalibrate", "relocate", "lower-rate"])
def test_lines_run_as_they_stand(kind):
    data = features(8)
    model = settled(chain(0.6), data)
    step = next(step for step in vs.diagnose(model, data).advice if step.kind == kind)
    eval(step.line, {"vs": vs, "model": model, "data": data, "example": data[0]})
    again = vs.diagnose(model if kind == "recalibrate" else settled(model, data), data)
    assert again.grade == {"recalibrate": "mild", "relocate": "none"}.get(kind, again.grade)
    if kind == "lower-rate":
        assert again.measurement[step.place].severity < 1.3 < step.before


def test_what_was_never_trained_is_not_told_to_recalibrate_for_noise():
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8)).double()
    d = vs.diagnose(model, [2 * batch for batch in features(8)])
    causes = {step.kind: step.cause for step in d.advice}
    assert d.verdict == "staleness"
    assert causes == {"recalibrate": "staleness", "relocate": "noise", "lower-rate": "noise"}


def stale(change):
    data = features(8)
    model = settled(direct(0.0), data)
    model[1].running_var.mul_(4)
    change(model[1])
    return model, data


def test_stale_statistics_have_the_step_of_their_cause():
    model, data = stale(lambda norm: setattr(norm, "momentum", 0.0))
    d = vs.diagnose(model, data)
    assert d.verdict == "staleness"
    assert kinds(d) == ["recalibrate", "set-momentum"]
    assert d.advice[1].place == "1"
    eval(d.advice[0].line, {"vs": vs, "model": model, "data": data})
    assert vs.diagnose(model, data).verdict == "none"


def test_frozen_statistics_are_not_advised_to_be_rewritten():
    """Both modes divide by them, and a layer behind that has learnt so would not know the new."""
    model, data = stale(lambda norm: norm.eval())
    d = vs.diagnose(model, data)
    assert d.verdict == "staleness"
    assert kinds(d) == ["unfreeze"]
    assert "include_frozen" not in d.advice[0].line
    eval(d.advice[0].line, {"model": model})
    assert vs.diagnose(settled(model, data), data).verdict == "none"


def test_frozen_norms_are_left_out_of_what_recalibrating_brings():
    data = features(8)
    model = settled(nn.Sequential(nn.BatchNorm1d(8), *direct(0.5)).double(), data)
    model[0].running_var.mul_(16)
    model[0].eval()
    step = next(step for step in vs.diagnose(model, data).advice if step.kind == "recalibrate")
    assert step.place == "2"
    assert step.line == "vs.recalibrate(model, data)"


def test_a_frozen_norm_has_no_part_in_what_small_batches_scatter():
    """One that trains keeps 0.05 of the scatter of batches of 2, a frozen one nothing."""
    torch.manual_seed(0)
    data = [torch.randn(2, 8, dtype=torch.float64) for _ in range(400)]
    model = settled(nn.Sequential(nn.BatchNorm1d(8)).double(), data)
    model[0].running_mean, model[0].running_var = torch.zeros(8), torch.ones(8)
    model.double()[0].eval()
    site = vs.explain(model, data).factors["0"]
    assert site.displacement["small-batch"].value < 0.1  # √0.05 would be 0.22


def test_small_batches_are_told_to_be_larger():
    net, train, _ = planted("small-batch", 0)
    d = vs.diagnose(net, train, max_samples=510)
    assert kinds(d) == ["recalibrate", "larger-batches"]
    assert "batch_size=12" in d.advice[1].line


def test_batches_are_told_to_be_mixed_where_they_are_unlike():
    random = torch.Generator().manual_seed(0)
    data = [torch.randn(64, 8, generator=random).double() + 3 * (-1) ** i for i in range(40)]
    net = nn.Sequential(nn.BatchNorm1d(8)).double()
    for batch in data:
        net(batch)
    assert kinds(vs.diagnose(net, data)) == ["recalibrate", "mix-batches"]


def test_noise_that_was_switched_on_later_is_not_the_fault_of_small_batches():
    """A moving average of what training makes now would be ten times as far from evaluation."""
    random = torch.Generator().manual_seed(0)
    data = [2 + torch.randn(64, 8, generator=random).double() / 2 for _ in range(40)]
    net = direct(0.0)
    for batch in data:
        net(batch)
    net[0].p = 0.8
    d = vs.diagnose(net, data)
    assert (d.verdict, d.settled, d.advice) == ("noise", ("1",), ())


def test_moments_of_each_sample_are_no_running_statistics():
    data = [torch.rand(16, 1, 1) * torch.randn(16, 4, 32) + torch.randn(16, 1, 1) for _ in range(8)]
    net = nn.Sequential(nn.InstanceNorm1d(4, track_running_stats=True))
    for batch in data * 6:
        net(batch)
    d = vs.diagnose(net, data)
    assert d.verdict == "small-batch"
    assert kinds(d) == ["drop-running-statistics"]
    assert "InstanceNorm1d(4, track_running_stats=False)" in d.advice[0].line


class PerMode(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = nn.BatchNorm1d(4), nn.BatchNorm1d(4)

    def forward(self, x):
        return self.one(x) if self.training else self.other(x)


def test_other_norms_in_evaluation():
    data = [3 * torch.randn(256, 4) + 3 for _ in range(4)]
    net = PerMode()
    d = vs.diagnose(net, data)
    assert (d.verdict, d.grade) == ("other-norms", "severe")
    assert d.worst[0].place == "output"
    assert kinds(d) == ["recalibrate"]
    assert d.advice[0].before is None
    assert d.causes[0].names == ("one", "other")
    skipped = [each.about for each in d.unseen if each.kind is UnseenKind.SKIPPED_NORM]
    assert skipped == [("one",), ("other",)]


class Kept(nn.Module):
    """A mask drawn ahead: the same in every pass, and nobody's draw."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(2 * x if self.training else x)


def test_what_no_source_does_is_named():
    data = [torch.randn(256, 4) for _ in range(8)]
    net = settled(Kept(), data)
    d = vs.diagnose(net, data)
    assert d.verdict == "unattributed"
    assert set(kinds(d)) == {"recalibrate", "find-draw"}
    assert d.causes[0].cause == "unattributed"
    assert d.worst[0].severity == pytest.approx(4, rel=0.05)


class Shuffled(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop, self.norm = nn.Dropout(0.1), nn.BatchNorm1d(4)

    def forward(self, x):
        x = x + x[torch.randperm(len(x))] if self.training else x
        return self.norm(self.drop(x))


def test_a_draw_that_cannot_be_silenced_is_named_and_stays():
    data = [torch.randn(256, 4) for _ in range(8)]
    d = vs.diagnose(settled(Shuffled(), data), data)
    assert d.verdict == "noise"
    assert d.worst[0].source is None
    left = next(each for each in d.causes if each.cause == "unattributed")
    assert 0.3 < left.share < 0.6
    assert left.names
    silent = [each for each in d.unseen if each.kind is UnseenKind.UNSILENCED_SOURCE]
    assert silent
    relocate = next(step for step in d.advice if step.kind == "relocate")
    assert relocate.after.value > 1.5  # what was seen to draw, but not what it is, stays


def test_noise_that_no_norm_takes_up():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 1))
    nn.init.ones_(net[3].weight)
    d = vs.diagnose(net, [torch.randn(512, 4) for _ in range(8)])
    assert d.verdict == "noise"
    assert d.worst[0].place == "output"
    assert kinds(d) == ["lower-rate"]
    assert d.worst[0].grade != "none"


def test_what_was_not_seen():
    data = features(8)
    model = nn.Sequential(nn.Dropout(0.0), *direct(0.3))
    for batch in data:
        batch[:, 2] = 1.0
    d = vs.diagnose(settled(model, data), data)
    found = {each.kind: each.about for each in d.unseen}
    assert found[UnseenKind.SILENT_SOURCE] == ("0",)
    assert found[UnseenKind.NO_TEST_DATA] == ()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_statistics_that_were_taken_anew_are_not_to_be_taken_again(seed):
    """Whatever the size of batches: what is stored is no moving average, and inherits nothing."""
    data = features(8, batches=40, samples=16, seed=seed)
    model = chain(0.5)
    with torch.no_grad():
        for batch in data:
            model(batch)
    vs.recalibrate(model, data)
    d = vs.diagnose(model, data)
    assert (d.verdict, d.grade) == ("noise", "mild")
    assert "recalibrate" not in {step.kind for step in d.advice}
    assert not d.explanation.stale
    for site in d.explanation.factors.values():
        assert site.displacement["staleness"] < 1e-6 < site.displacement["noise"]
