"""`recalibrate` against one norm after another in float64."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.testing import assert_close

import varshift as vs
from contract.cases import NAMES, case
from contract.truth import noise_off

EXACT = {"rtol": 1e-10, "atol": 1e-12}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "reused"])
def test_statistics_are_those_of_one_norm_after_another(name):
    found = case(name)
    truth = noise_off(found, skip=("2",) if name == "frozen" else ())
    result = vs.recalibrate(*found.lent, **found.keywords)
    assert set(result.sites) == set(truth)
    state = found.model.state_dict()
    for path, (mean, var) in truth.items():
        after = result.sites[path].after
        assert_close(after.mean, mean, **EXACT)
        assert_close(after.var, var, **EXACT)
        names = ("m", "v") if path == "m" else (f"{path}.running_mean", f"{path}.running_var")
        assert torch.equal(state[names[0]], after.mean)
        assert torch.equal(state[names[1]], after.var)
    assert (result.samples, result.batches) == (512, 8)


def test_a_norm_that_runs_twice_pools_its_inputs():
    found = case("reused")
    x = torch.cat(found.batches)
    model = copy.deepcopy(found.model).eval()
    with torch.no_grad():
        first = x
        model.norm.running_mean.copy_(first.mean(0))
        model.norm.running_var.copy_(first.var(0))
        both = torch.cat([first, model.linear(model.norm(first))])
    after = vs.recalibrate(*found.lent).sites["norm"].after
    assert_close(after.mean, both.mean(0), **EXACT)
    assert_close(after.var, both.var(0), **EXACT)


def test_a_frozen_norm_is_left_alone_unless_asked_for():
    found = case("frozen")
    result = vs.recalibrate(*found.lent)
    assert "frozen" in result.skipped["2"]
    assert found.model[2].running_var.eq(1).all()
    assert set(vs.recalibrate(*found.lent, include_frozen=True).sites) == {"2", "5"}


def test_neither_order_nor_size_of_batches_matters():
    one, other = case("through"), case("through")
    vs.recalibrate(*one.lent)
    vs.recalibrate(other.model, torch.cat(other.batches).flip(0).split(100))
    for key, value in one.model.state_dict().items():
        assert_close(other.model.state_dict()[key], value, **EXACT)


def test_momentum_and_count_stay():
    found = case("linear")
    before = found.model[2].num_batches_tracked.clone()
    vs.recalibrate(*found.lent)
    assert found.model[2].momentum == 0.1
    assert torch.equal(found.model[2].num_batches_tracked, before)


def test_too_few_samples_change_nothing():
    found = case("linear")
    before = found.model[2].running_var.clone()
    with pytest.raises(vs.DataError):
        vs.recalibrate(found.model, [found.batches[0][:1]])
    assert torch.equal(found.model[2].running_var, before)
