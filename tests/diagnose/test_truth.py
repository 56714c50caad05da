"""What is expected of a step is what is measured once it is done; grades are what was built."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import varshift as vs
from diagnose.nets import chain, direct, features, settled
from varshift.results import GRADES, grade_of


def step_of(d, kind):
    return next(step for step in d.advice if step.kind == kind)


def rebuilt(model, data, rate):
    """The same weights with another rate, statistics settled anew."""
    other = copy.deepcopy(model)
    for module in other.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate
    return settled(other, data)


@pytest.mark.parametrize("drop_p", [0.2, 0.4, 0.7])
def test_severity_and_grade_of_dropout_before_a_norm(drop_p):
    data = features(8)
    model = settled(direct(drop_p), data)
    d = vs.diagnose(model, data)
    x = torch.cat(data)
    tau = drop_p / (1 - drop_p)
    ratio = 1 + tau * (x.mean(0).square() + x.var(0)) / x.var(0)
    true = float(ratio.quantile(0.5))
    worst = d.worst[0]
    assert (d.verdict, worst.place, worst.source) == ("noise", "1", "0")
    assert worst.severity == pytest.approx(true, abs=5 * worst.severity.se)
    assert worst.severity.se < 0.1 * true  # a severity by drop_p in place of τ is off by more
    assert d.grade == worst.grade == grade_of(worst.severity, worst.severity.se)
    if abs(true - GRADES["severe"]) > 0.2:
        assert d.grade == grade_of(true)


@pytest.mark.parametrize("make", [direct, chain])
def test_a_lower_rate_does_what_is_predicted(make):
    data = features(8)
    model = settled(make(0.5), data)
    d = vs.diagnose(model, data)
    step = step_of(d, "lower-rate")
    rate = float(step.line.partition(": ")[2].partition("}")[0])
    assert 0 < rate < 0.5
    assert f"{{'0': {rate:g}}}" in step.line
    site = vs.measure(rebuilt(model, data, rate), data)[step.place]
    error = 5 * (site.severity_se**2 + step.after.se**2) ** 0.5
    assert step.after == pytest.approx(site.severity, abs=error)
    assert step.after <= GRADES["clear"]
    # The smallest mistake worth catching: drop_p for τ, or the noise that was.
    wrong = 1 + (step.before - 1) * rate / 0.5
    assert abs(wrong - site.severity) > 5 * site.severity_se or abs(wrong - step.after) > error
    assert step.before - site.severity > error


@pytest.mark.parametrize("make", [direct, chain])
def test_relocating_does_what_is_predicted(make):
    data = features(8)
    model = settled(make(0.5), data)
    step = step_of(vs.diagnose(model, data), "relocate")
    site = vs.measure(rebuilt(model, data, 0.0), data)[step.place]
    assert site.severity == pytest.approx(1, abs=0.01)
    assert step.after == pytest.approx(site.severity, abs=0.01 + 5 * step.after.se)
    assert step.before > 1.5
    assert step.sources == ("0",)


class Behind(nn.Module):
    """Dropout, a nonlinearity, weights, a norm."""

    def __init__(self, between):
        super().__init__()
        torch.manual_seed(3)
        self.drop, self.between = nn.Dropout(0.5), between
        self.next, self.norm = nn.Linear(16, 16), nn.BatchNorm1d(16)

    def forward(self, x):
        return self.norm(self.next(self.between(self.drop(x))))


def concentrated(x):
    return torch.softmax(4 * x, 1)


def largest_of_two(x):
    return torch.nn.functional.max_pool1d(x[:, None], 2, 1, padding=1)[:, 0, :-1]


@pytest.mark.parametrize("between", [concentrated, largest_of_two])
def test_a_rate_that_no_closed_form_tells_is_found_by_predictions(between):
    data = features(16)
    model = settled(Behind(between).double(), data)
    d = vs.diagnose(model, data)
    step = step_of(d, "lower-rate")
    assert (step.before, step.after) == (None, None)
    assert "norm" in {
        path for each in d.unseen if each.kind.name == "NOT_PREDICTED" for path in each.about
    }
    assert step_of(d, "relocate").after == pytest.approx(1, abs=1e-6)
    lowered = copy.deepcopy(model)
    eval(step.line, {"vs": vs, "model": lowered, "example": data[0], "data": data})
    assert 0 < lowered.drop.p < 0.5
    site = vs.measure(settled(lowered, data), data)["norm"]
    assert site.severity == pytest.approx(GRADES["clear"], abs=0.02 + 5 * site.severity_se)


def test_a_rate_at_any_of_several_sources():
    """Both sources of a norm are lowered; the one that draws less already stays."""
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Dropout(0.5), nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU()),
        *(nn.Dropout(0.01), nn.Linear(16, 16), nn.BatchNorm1d(16)),
    ).double()
    data = features(8)
    d = vs.diagnose(settled(model, data), data)
    assert step_of(d, "lower-rate").sources == ("0",)
    assert set(step_of(d, "relocate").sources) == {"0", "4"}
    model[4].p = 0.5
    centred = [batch - torch.cat(data).mean(0) for batch in data]  # else no rate of use is mild
    line = step_of(vs.diagnose(settled(model, centred), centred), "lower-rate").line
    assert line.startswith("vs.replace(model, example, 0.")  # the same for all there are


def test_recalibrating_does_what_is_predicted():
    data = features(8)
    model = settled(chain(0.5), data)
    d = vs.diagnose(model, data)
    step = step_of(d, "recalibrate")
    site = vs.measure(model, data)[step.place]
    ratio = site.test.var / site.stored.var
    assert step.before == pytest.approx(float(torch.maximum(ratio, 1 / ratio).quantile(0.5)))
    vs.recalibrate(model, data)
    after = vs.measure(model, data)[step.place]
    ratio = after.test.var / after.stored.var
    assert float(torch.maximum(ratio, 1 / ratio).quantile(0.5)) == pytest.approx(step.after)
    again = vs.diagnose(model, data)
    assert (again.grade, again.advice) == ("mild", ())
    assert set(again.settled) >= {"2"}


def test_stale_statistics_alone():
    data = features(8)
    model = settled(direct(0.0), data)
    model[1].running_var.mul_(9)
    d = vs.diagnose(model, data)
    assert (d.verdict, d.grade) == ("staleness", "severe")
    assert d.worst[0].severity == pytest.approx(9, rel=0.01)
    assert d.worst[0].shift == pytest.approx(1 / 9, rel=0.01)
    assert d.worst[0].source is None
    first = d.advice[0]
    assert (first.kind, first.cause) == ("recalibrate", "staleness")
    assert first.before == pytest.approx(9, rel=0.01)
    assert not {step.kind for step in d.advice} & {"relocate", "lower-rate"}
    vs.recalibrate(model, data)
    assert vs.diagnose(model, data).grade == "none"


def test_means_that_moved_count_in_deviations():
    data = features(8)
    model = settled(direct(0.0), data)
    deviation = torch.cat(data).std(0)
    model[1].running_mean.add_(0.5 * deviation)
    worst = vs.diagnose(model, data).worst[0]
    assert worst.mean_shift == pytest.approx(0.5, abs=0.01)
    assert worst.severity == pytest.approx(1.5, abs=0.01)
    assert worst.grade == "clear"


def test_a_clean_network():
    data = features(8)
    d = vs.diagnose(settled(chain(0.0), data), data, features(8, seed=1))
    assert (d.verdict, d.grade, d.worst, d.advice) == ("none", "none", (), ())
    assert len(d.findings) == 0


def test_several_causes_at_once():
    data = features(8)
    model = settled(chain(0.5), data)
    model[4].running_var.mul_(25)
    d = vs.diagnose(model, data)
    assert d.verdict == "staleness"
    found = {(each.cause, each.source): each for each in d.causes}
    assert {("noise", "0"), ("staleness", "")} <= set(found)
    assert found["noise", "0"].share.value > 0.2
    assert found["staleness", ""].place == "4"
    assert [step.kind for step in d.advice][:1] == ["recalibrate"]
    assert {step.kind for step in d.advice} >= {"recalibrate", "relocate"}


def test_other_data():
    data = features(8)
    model = settled(direct(0.0), data)
    d = vs.diagnose(model, data, [3 * batch for batch in features(8, seed=1)])
    assert (d.verdict, d.grade) == ("data", "severe")
    assert [step.kind for step in d.advice] == ["compare-data"]
    assert d.worst[0].shift == pytest.approx(9, rel=0.2)
    assert "no test data was given" not in {each.kind.value for each in d.unseen}
