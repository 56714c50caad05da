"""Recalibration tried on held-out samples: measured as `repair` measures, and taken back."""

from __future__ import annotations

import pytest
import torch

import varshift as vs
from contract.marks import marks
from diagnose.nets import chain, direct, features, settled


def labelled(batches, seed):
    random = torch.Generator().manual_seed(seed)
    return [(batch, torch.randint(3, (len(batch),), generator=random)) for batch in batches]


@pytest.fixture
def lent():
    data = features(8)
    return settled(chain(0.5), data), labelled(data, 1), labelled(features(8, seed=7), 2)


def test_the_change_is_that_of_repair(lent):
    model, data, held_out = lent
    before = marks(model)
    d = vs.diagnose(model, data, held_out=held_out)
    assert {what: held for what, held in marks(model).items() if held != before[what]} == {}
    measured = d.advice[0].measured
    assert d.advice[0].kind == "recalibrate"
    r = vs.repair(model, data, held_out=held_out, method="recalibrate", max_samples=10**6)
    assert d.held_out.loss == pytest.approx(r.before.loss)
    assert measured.trial.loss.mean == pytest.approx(r["recalibrate"].trial.loss.mean)
    assert measured.trial.loss.low < measured.trial.loss.mean < measured.trial.loss.high
    assert measured.accepted == r["recalibrate"].accepted
    assert [step.measured for step in d.advice[1:]] == [None, None]
    assert d.to_dict()["advice"][0]["measured"]["trial"]["loss"]["samples"] == 4096


def test_too_few_are_refused(lent):
    model, data, held_out = lent
    few = [(batch[:5], label[:5]) for batch, label in held_out[:2]]
    before = marks(model)
    with pytest.raises(vs.DataError, match="10 held-out samples"):
        vs.diagnose(model, data, held_out=few)
    assert marks(model) == before


def test_the_data_itself_judges_nothing(lent):
    model, data, _ = lent
    with pytest.raises(vs.DataError, match="held-out samples are among the calibration samples"):
        vs.diagnose(model, data, held_out=data)


def test_without_advice_nothing_is_tried():
    data = features(8)
    d = vs.diagnose(settled(direct(0.0), data), data, held_out=features(8, seed=7))
    assert d.held_out is None
    assert "held-out data was given, and no repair is advised" in {u.kind.value for u in d.unseen}
