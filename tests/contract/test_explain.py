"""`explain`: factors that multiply exactly, blame that adds up, and whose fault it is."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import pytest
import torch
from torch.testing import assert_close

import varshift as vs
from contract.cases import NAMES, case
from contract.laws import law_of
from contract.truth import inputs, training_runs

EXACT = {"rtol": 1e-10, "atol": 0.0}


def explained(name):
    found, other = case(name), case(name, batches=4, seed=5)
    return found, other, vs.explain(*found.lent, test_data=other.batches, **found.keywords)


@pytest.mark.parametrize("name", NAMES)
def test_factors_multiply_and_are_what_loops_give(name):
    found, other, explanation = explained(name)
    test = inputs(found, training=False)
    others = inputs(replace(found, batches=other.batches), training=False)
    assert set(explanation.factors) == set(test)
    for path, site in explanation.factors.items():
        for one in (site.channels, {key: getattr(site, key) for key in site.channels}):
            for whole, parts in (
                ("total", ("noise", "staleness", "data")),
                ("noise", ("alone", "batches", "carried")),
                ("staleness", ("composition", "age")),
            ):
                product = prod(doubles(one[part]) for part in parts)
                assert_close(product, doubles(one[whole]), **EXACT)
        assert_close(site.channels["data"], others[path].var(1) / test[path].var(1), **EXACT)
        for key, channels in site.channels.items():
            assert getattr(site, key) == pytest.approx(float(channels.log().mean().exp()))
        stored = found.model.v if name == "functional" else found.model.get_submodule(path)
        stored = getattr(stored, "running_var", stored)
        assert_close(site.channels["total"], others[path].var(1) / stored, **EXACT)


def doubles(value):
    return torch.as_tensor(value, dtype=torch.float64)


@pytest.mark.parametrize("name", NAMES)
def test_noise_is_test_over_train(name):
    found, _, explanation = explained(name)
    test = inputs(found, training=False)
    for path, (mean, deviation) in training_runs(found).items():
        noise = explanation.factors[path].channels["noise"]
        # As in test_measure: 6 deviations of what is drawn.
        assert ((test[path].var(1) / noise - mean).abs() < 6 * deviation).all(), path


def test_without_test_data_that_factor_is_one():
    explanation = vs.explain(*case("linear").lent)
    assert explanation.factors["2"].data == 1
    assert any("test_data" in note for note in explanation.notes)


@pytest.mark.parametrize(("name", "pair"), [("direct", ("0", "1")), ("linear", ("0", "2"))])
def test_share_is_the_part_that_noise_adds(name, pair):
    found = case(name, batches=16, samples=128)
    blame = vs.explain(*found.lent).blame
    path, added = law_of(found)
    clean = inputs(found, training=False)[path].var(1)
    share = blame[pair]
    assert float(share) == pytest.approx(float((added / (clean + added)).mean()), abs=6 * share.se)
    assert share.se < 0.03  # a share of τ = drop_p would be off by 0.1
    assert blame.at(*pair) == share
    assert list(blame.behind(path)) == ["0"]
    assert blame.rest[path] == pytest.approx(0, abs=1e-9)


def test_shares_and_interaction_add_up():
    blame = vs.explain(*case("several").lent).blame
    for place in blame.places:
        together = sum(blame[noise, place] for noise in blame.noises)
        assert blame.total[place] == pytest.approx(together + blame.interaction[place])
    assert blame["2", "3"] > blame["0", "3"] > 0
    assert set(blame.silenced) == set(blame.noises) == {"0", "2"}
    with pytest.raises(vs.UsageError, match="'9' is not here"):
        blame["9", "3"]


def test_verdicts():
    assert vs.explain(*case("direct", samples=128).lent).verdict == "noise"
    stale = case("direct", samples=128)
    stale.model[0].p = 0.0
    stale.model[1].running_var.mul_(9)
    explanation = vs.explain(*stale.lent)
    assert explanation.verdict == "staleness"
    assert explanation.worst["staleness"] == "1"
    moved = case("direct", samples=128, rounds=0)
    moved.model[0].p = 0.0
    moved.model[1].momentum = None
    for batch in moved.batches:
        moved.model(batch)
    found = vs.explain(*moved.lent, test_data=[3 * batch + 1 for batch in moved.batches])
    assert found.verdict == "data"
    assert found.factors["1"].data == pytest.approx(9)
    assert vs.explain(*moved.lent).verdict == "none"


def test_outputs_with_noise_on_and_off():
    output = vs.explain(*case("through").lent).outputs["output"]
    assert output.mean_on.shape == output.mean_off.shape == (3,)
    ratio = (output.var_off / output.var_on).log().mean().exp()
    assert output.var_ratio == pytest.approx(float(ratio))
    assert output.var_ratio < 0.8  # half of the inputs are dropped before the first norm
