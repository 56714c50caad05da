"""`check`: which code for which model, and what silences it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs
from contract.cases import case
from contract.models import MODULES
from varshift.testing import assert_no_variance_shift

# The shifts are far above what is allowed, 1.1: by their laws from 1.4 (graph) up.
CODES = {
    "direct": {("VS101", "1")},
    "linear": {("VS102", "2")},
    "conv": {("VS102", "2")},
    "channel": {("VS103", "2")},
    "sample": {("VS104", "norm")},
    "through": {("VS101", "1"), ("VS106", "4")},
    "frozen": {("VS204", "2"), ("VS106", "5")},
    "functional": {("VS102", "m")},
    "graph": {("VS102", "norm")},
    "dicts": {("VS102", "norm")},
    "mask": {("VS101", "norm")},
    "several": {("VS101", "3")},
}


def checked(name, **how):
    found = case(name, batches=16, samples=128)
    return vs.check(found.model, data=found.batches, **found.keywords, **how)


@pytest.mark.parametrize("name", CODES)
def test_codes_on_data(name):
    found = checked(name)
    assert {(finding.code, finding.place) for finding in found} == CODES[name]
    assert found
    assert len(found) == len(CODES[name])
    assert [f.severity for f in found] == sorted((f.severity for f in found), reverse=True)
    assert {finding.basis for finding in found} == {"data"}
    assert all(finding.severity > 1.1 for finding in found)


@pytest.mark.parametrize("name", ["direct", "linear", "conv", "channel", "functional", "mask"])
def test_codes_on_one_example(name):
    found = case(name, samples=256)
    codes = {(f.code, f.place) for f in vs.check(found.model, found.batches[0])}
    assert codes == CODES[name]


def test_measured_severity_is_that_of_measure():
    found = case("direct", batches=16, samples=128)
    (finding,) = vs.check(found.model, data=found.batches)
    site = vs.measure(*found.lent)["1"]
    assert abs(finding.severity - site.severity) < 6 * 2**0.5 * site.severity_se
    assert finding.rule.code == "VS101"
    assert finding.noises == ("0",)
    assert finding.low < finding.severity < finding.high
    assert finding.shift < 1


def test_statistics_have_codes_of_their_own():
    for momentum, code in ((0.0, "VS201"), (None, "VS203")):
        found = case("linear", rounds=0)
        found.model[0].p = 0.0
        found.model[2].momentum = momentum
        for batch in found.batches:
            found.model(batch if momentum is not None else 3 * batch)
        assert code in {finding.code for finding in vs.check(found.model, data=found.batches)}


def test_nothing_is_found_where_nothing_shifts():
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3))
    found = assert_no_variance_shift(model, torch.randn(256, 6))
    assert not found
    assert len(found) == 0
    assert list(found) == []


def test_silencing_and_bounds():
    assert not checked("direct", ignore=["VS1"])
    assert not checked("direct", select=["VS2"])
    assert not checked("direct", max_severity=20)
    quiet = checked("through", per_module_ignores={"4": ["VS106"]})
    assert [finding.code for finding in quiet] == ["VS101"]
    assert list(checked("through").by_code()) == ["VS101", "VS106"]


def test_an_assertion_lists_every_finding():
    found = case("through", samples=256)
    with pytest.raises(AssertionError, match=r"2 above severity 1\.1") as raised:
        vs.assert_no_variance_shift(found.model, data=found.batches)
    assert "VS101" in str(raised.value)
    assert "VS106" in str(raised.value)


def test_wrong_calls():
    model = MODULES["linear"]()
    with pytest.raises(vs.UsageError, match="give example="):
        vs.check(model)
    with pytest.raises(vs.UsageError, match=r"max_severity is 0\.5"):
        vs.check(model, torch.randn(32, 6), max_severity=0.5)
    with pytest.raises(vs.UsageError, match="VS9"):
        vs.check(model, torch.randn(32, 6), select=["VS9"])
    with pytest.raises(vs.UsageError, match="task is 'ranking'"):
        vs.check(model, torch.randn(32, 6), task="ranking")
