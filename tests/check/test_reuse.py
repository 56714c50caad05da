"""A norm that runs several times a pass: each run against the one average that evaluation has."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

import varshift as vs

C = 24


class Runs(nn.Module):
    """One norm at each of what a sample holds, (batch, runs, channels)."""

    def __init__(self, norm=None):
        super().__init__()
        self.norm = norm or nn.BatchNorm1d(C)

    def forward(self, x):
        return torch.stack([self.norm(each) for each in x.unbind(1)], 1)


def drawn(runs, *, size=64, count=10, channels=C, seed=0):
    """Batches of standard normal values, (batch, runs, channels)."""
    random = torch.Generator().manual_seed(seed)
    return list(torch.randn(count, size, runs, channels, generator=random))


def apart(*means, **how):
    """The same with a mean for each run."""
    return [x + torch.tensor(means)[:, None] for x in drawn(len(means), **how)]


def found(model, data=None, example=None):
    return [f for f in vs.check(model, example, data=data) if f.code == "VS208"]


def test_a_run_of_another_variance_is_sized_against_the_average():
    """Variances 1 and 9 have the average 5: one is off by 5, the other by 1.8."""
    data = [x * torch.tensor([1.0, 3.0])[:, None] for x in drawn(2)]
    (one,) = found(Runs(), data)
    assert one.place == "norm"
    assert one.low < 5 < one.high
    assert one.shift == pytest.approx(1 / 5, rel=0.1)
    assert "runs 2 times a pass" in one.message
    assert "run 1 receives has 0.20 times its variance" in one.message
    assert (one.how, one.basis, one.noises) == ("measured", "data", ())


def test_a_run_of_another_mean_is_sized_in_deviations_of_a_batch():
    """Means 0, 0 and 3 have the average 1: one run is 2 away, whatever scatters within it."""
    data = apart(0.0, 0.0, 3.0)
    (one,) = found(Runs(), data)
    assert one.low < 3 < one.high
    assert re.search(r"run 3 receives has (0\.9|1\.0)\d times its variance", one.message)
    assert "that of the means" in one.message


def test_what_is_stored_does_not_matter_and_an_example_will_do():
    (x,) = apart(0.0, 4.0, count=1, size=256)
    model = Runs()
    for stored in (1.0, 50.0):
        model.norm.running_var.fill_(stored)
        (one,) = found(model, example=x)
        assert one.low < 3 < one.high
        assert one.basis == "example"


@pytest.mark.parametrize("runs", [2, 20])
@pytest.mark.parametrize(("size", "count"), [(8, 1), (8, 6)])
@pytest.mark.parametrize("channels", [1, C])
def test_alike_runs_are_none(runs, size, count, channels):
    """The furthest of twenty is far from the average by chance; of these seeds at most one in 8."""
    model = Runs(nn.BatchNorm1d(channels))
    data = [drawn(runs, size=size, count=count, channels=channels, seed=s) for s in range(8)]
    assert sum(bool(found(model, one)) for one in data) <= 1


def test_batches_that_differ_as_much_as_runs_do_are_none():
    """Then no norm of its own helps a run: the average is as far from most batches."""
    data = [x + 4 * (i % 2) for i, x in enumerate(apart(0.0, 2.0))]
    assert found(Runs(), data) == []


def test_nearly_unlike_runs_stay_below_what_is_allowed():
    data = apart(0.0, 0.15)
    assert found(Runs(), data) == []


def test_norms_that_have_one_average_in_both_modes_or_none_are_left_alone():
    data = apart(0.0, 4.0)
    frozen = Runs().train()
    frozen.norm.eval()
    assert found(frozen, data) == []
    assert found(Runs(nn.BatchNorm1d(C, track_running_stats=False)), data) == []


def test_diagnose_has_the_finding_and_one_step():
    data = apart(0.0, 4.0)
    model = Runs()
    for _ in range(30):
        for x in data:
            model(x)
    told = vs.diagnose(model, data)
    assert "VS208" in [f.code for f in told.findings]
    assert [step.kind for step in told.advice] == ["separate-norms"]
