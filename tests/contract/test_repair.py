"""`repair`: kept only if measured to help, and everything that was tried is told."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import varshift as vs
from contract.cases import case


def test_a_model_that_noise_shifts_is_repaired():
    # The held-out divergence falls by 63 %, with 20 standard errors between it and nothing.
    found = case("through", batches=16, samples=128)
    lent = copy.deepcopy(found.model.state_dict())
    repair = vs.repair(*found.lent)
    assert repair.accepted
    assert repair.method in [candidate.method for candidate in repair.candidates]
    assert repair[repair.method].accepted
    assert repair.after < repair.before
    assert repair.after.loss == repair[repair.method].score.loss
    assert repair.judged_by == "noise-averaged prediction"
    state = found.model.state_dict()
    assert repair.changes
    for name, value in state.items():
        if name in repair.changes:
            assert torch.equal(repair.changes[name].before, lent[name])
            assert torch.equal(repair.changes[name].after, value)
        else:
            assert torch.equal(value, lent[name])
    assert repair.calibration + repair.held_out == 16 * 128


def test_the_same_seed_repairs_alike():
    one, other = (case("through", batches=16, samples=128) for _ in range(2))
    assert vs.repair(*one.lent, seed=3).method == vs.repair(*other.lent, seed=3).method
    for key, value in one.model.state_dict().items():
        assert torch.equal(other.model.state_dict()[key], value)


def test_statistics_far_off_are_mended_by_recalibration():
    found = case("direct", batches=16, samples=128)
    weights = torch.randn(4, 3).double()
    labels = [batch @ weights for batch in found.batches]
    x, y = torch.cat(found.batches), torch.cat(labels)
    with torch.no_grad():  # a head that fits exactly where the norm's statistics are the data's
        z = (x - x.mean(0)) / x.var(0).sqrt()
        solved = torch.linalg.lstsq(torch.cat([z, torch.ones(len(z), 1).double()], 1), y).solution
        found.model[2].weight.copy_(solved[:-1].T)
        found.model[2].bias.copy_(solved[-1])
    data = list(zip(found.batches, labels, strict=True))
    repair = vs.repair(found.model, data, method="recalibrate")
    assert repair.accepted
    assert repair.judged_by == "labels"
    assert [candidate.method for candidate in repair.candidates] == ["recalibrate"]
    # What is left: eps = 1e-5 of the norm, and the samples that were held out.
    assert repair.after.loss < 0.02 * repair.before.loss
    assert set(repair.changes) == {"1.running_mean", "1.running_var"}


def test_without_noise_there_is_nothing_to_repair():
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    before = copy.deepcopy(model.state_dict())
    repair = vs.repair(model, torch.randn(256, 6).split(64))
    assert not repair.accepted
    assert repair.method is None
    assert repair.reason
    assert repair.changes == {}
    assert repair.candidates == ()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_held_out_data_is_used_and_must_differ():
    found, other = case("through", samples=128), case("through", samples=128, seed=9)
    repair = vs.repair(*found.lent, held_out=other.batches)
    assert (repair.calibration, repair.held_out, repair.split_seed) == (1024, 1024, None)
    with pytest.raises(vs.DataError, match="calibration"):
        vs.repair(*found.lent, held_out=found.batches)


def test_wrong_calls():
    found = case("through")
    with pytest.raises(vs.UsageError, match="magic"):
        vs.repair(*found.lent, method="magic")
    with pytest.raises(vs.UsageError, match="passes is 1"):
        vs.repair(*found.lent, passes=1)
    with pytest.raises(vs.UsageError, match="level is 2"):
        vs.repair(*found.lent, level=2)
    with pytest.raises(vs.UsageError, match="into is 'weights'"):
        vs.repair(*found.lent, into="weights")
    with pytest.raises(vs.UsageError, match="'magic' was not tried"):
        vs.repair(*found.lent, method="recalibrate")["magic"]
