"""`measure`: moments with noise on and off against loops by hand and against every mask."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

import varshift as vs
from contract.cases import NAMES, case
from contract.laws import LAWS, law_of
from contract.truth import inputs, training_runs

# Of 24 repetitions a mean and a deviation are had; under Student's law with 23 degrees of freedom
# 6 deviations are exceeded once in 200,000 channels. A wrong τ (drop_p for drop_p/keep_p) is 10
# deviations off and more.
SURE = 6.0
# Float64 throughout: what sums of 2,048 values round differently in another order.
EXACT = {"rtol": 1e-10, "atol": 1e-12}


@pytest.mark.parametrize("name", NAMES)
def test_test_moments_are_those_of_evaluation(name):
    found = case(name)
    measured = vs.measure(*found.lent, **found.keywords)
    received = inputs(found, training=False)
    if name == "reused":
        received = {"norm": received["norm"]}  # both runs of a pass, pooled
    assert set(measured.sites) == set(received)
    for path, values in received.items():
        site = measured[path]
        assert_close(site.test.mean, values.mean(1), **EXACT)
        assert_close(site.test.var, values.var(1), **EXACT)
        assert site.test.count == site.train.count == values.shape[1]
        assert site.samples == measured.samples == 512
    assert measured.batches == 8
    assert not measured.skipped


@pytest.mark.parametrize("name", NAMES)
def test_train_variance_is_that_of_training(name):
    found = case(name, batches=16, samples=128)
    measured = vs.measure(*found.lent, **found.keywords)
    for path, (mean, deviation) in training_runs(found).items():
        assert ((measured[path].train.var - mean).abs() < SURE * deviation).all(), path


@pytest.mark.parametrize("name", LAWS)
def test_train_variance_is_what_every_mask_gives(name):
    found = case(name, batches=16, samples=128)
    path, added = law_of(found)
    site = vs.measure(*found.lent, **found.keywords)[path]
    deviation = training_runs(found)[path][1]
    assert ((site.train.var - site.test.var - added).abs() < SURE * deviation).all()


@pytest.mark.parametrize("name", NAMES)
def test_figures_follow_from_the_moments(name):
    found = case(name)
    for site in vs.measure(*found.lent, **found.keywords).sites.values():
        assert_close(site.delta, site.test.var / site.train.var, **EXACT)
        severity = torch.maximum(site.delta, 1 / site.delta)
        assert site.shift == pytest.approx(float(_median(site.delta)))
        assert site.severity == pytest.approx(float(_median(severity)))
        ratio = float(site.test.within.mean() / site.stored.var.mean())
        assert site.paper == pytest.approx(max(ratio, 1 / ratio))
        assert site.shift_se > 0
        assert site.severity_se > 0
        assert site.paper_se > 0
        assert site.dead == ()


def test_stored_is_what_the_norm_holds():
    found = case("through")
    for path, site in vs.measure(*found.lent).sites.items():
        norm = found.model.get_submodule(path)
        assert torch.equal(site.stored.mean, norm.running_mean)
        assert torch.equal(site.stored.var, norm.running_var)


def test_stored_counts_the_batches_of_training():
    found = case("linear")
    assert vs.measure(*found.lent)["2"].stored.count == 48 == found.model[2].num_batches_tracked


def test_a_dead_channel_is_named_and_left_out():
    found = case("linear")
    with torch.no_grad():
        found.model[1].weight[2] = 0
    site = vs.measure(*found.lent)["2"]
    assert site.dead == (2,)
    assert not site.live[2]
    assert site.delta[2].isnan()
    assert 0 < site.shift < 1


def _median(values):
    """Of an even number, the middle between the two."""
    return values.quantile(0.5)
