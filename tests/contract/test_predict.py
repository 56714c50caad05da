"""`predict`: laws that hold exactly against every mask, and the rest against training by hand."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

import varshift as vs
from contract.cases import case
from contract.laws import LAWS, law_of
from contract.truth import inputs, training_runs

# A mask by hand is divided by its observed mean multiplier, which is read to 7 digits.
ROUNDED = {"mask": 1e-6}


@pytest.mark.parametrize("name", LAWS)
def test_law_is_what_every_mask_gives(name):
    found = case(name)
    path, added = law_of(found)
    site = vs.predict(*found.lent, **found.keywords)[path]
    assert site.how == ("law (a)" if name in ("direct", "through", "mask") else "law (b)")
    assert_close(site.var_train - site.var_test, added, rtol=ROUNDED.get(name, 1e-9), atol=0.0)
    assert_close(site.var_test, inputs(found, training=False)[path].var(1), rtol=1e-10, atol=0.0)
    assert_close(site.delta, site.var_test / site.var_train, rtol=1e-12, atol=0.0)
    assert site.low <= site.shift <= site.high


@pytest.mark.parametrize(("name", "path"), [("through", "4"), ("several", "3"), ("graph", "norm")])
def test_what_has_no_law_is_near_training_by_hand(name, path):
    found = case(name, batches=16, samples=128)
    site = vs.predict(*found.lent, **found.keywords)[path]
    assert site.how in ("carried", "sampled")
    mean, deviation = training_runs(found)[path]
    # Both are drawn: two errors of the same size, and 6 of their sum's as in test_measure.
    assert ((site.var_train - mean).abs() < 6 * 2**0.5 * deviation).all()


def test_other_noise_is_one_law_with_another_tau():
    found = case("linear")
    asked = vs.predict(*found.lent, noise={"0": 0.1})
    assert asked.asked == {"0": pytest.approx(1 / 9)}
    added = law_of(found)[1] * (1 / 9) / (3 / 7)
    assert_close(asked["2"].var_train - asked["2"].var_test, added, rtol=1e-9, atol=0.0)
    same = vs.predict(*found.lent, noise={"*": vs.nn.GaussianDropout(drop_p_to_sigma(0.1))})
    assert_close(same["2"].delta, asked["2"].delta, rtol=1e-9, atol=0.0)
    none = vs.predict(*found.lent, noise={"*": 0.0})
    assert_close(none["2"].delta, torch.ones(4).double(), rtol=1e-12, atol=0.0)


def drop_p_to_sigma(drop_p):
    return (drop_p / (1 - drop_p)) ** 0.5


def test_without_data_the_stored_statistics_are_inverted():
    found = case("direct")
    site = vs.predict(found.model, example=found.batches[0])["1"]
    assert site.how == "inverted"
    norm, tau = found.model[1], 0.4 / 0.6
    clean = (norm.running_var - tau * norm.running_mean**2) / (1 + tau)
    assert_close(site.var_test, clean, rtol=1e-9, atol=0.0)
    assert_close(site.delta, clean / norm.running_var, rtol=1e-9, atol=0.0)


def test_largest_rate_gives_just_that_severity():
    found = case("direct")
    largest = vs.predict(*found.lent).max_drop_p(1.25)
    assert largest["1"] == largest[""]
    again = vs.predict(*found.lent, noise={"0": largest["1"]})
    assert again["1"].severity == pytest.approx(1.25, rel=1e-6)
    with pytest.raises(vs.UsageError, match="max_severity is 1"):
        vs.predict(*found.lent).max_drop_p(1.0)


def test_wider_shifts_less():
    found = case("linear")
    with torch.no_grad():
        found.model[1].weight.fill_(0.3)  # filters that add inputs up gain by width
    prediction = vs.predict(*found.lent)
    shifts = [prediction["2"].shift, prediction.wider(2)["2"].shift, prediction.wider(8)["2"].shift]
    assert shifts == sorted(shifts)
    assert vs.predict(*found.lent, width=2)["2"].shift == pytest.approx(shifts[1])
