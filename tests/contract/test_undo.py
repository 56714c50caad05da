"""`undo()` restores bit for bit, does no harm twice, and does nothing where nothing was done."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn

import varshift as vs
from contract.cases import NAMES, case
from contract.marks import marks


def recalibrated(found):
    return vs.recalibrate(*found.lent, **found.keywords)


def repaired(found):
    return vs.repair(*found.lent, **found.keywords)


def relocated(found):
    return vs.relocate(found.model, found.batches[0], **found.keywords)


def replaced(found):
    return vs.replace(found.model, found.batches[0], "gaussian", **found.keywords)


def there_and_back(found, change):
    before = marks(found.model)
    objects = {name: id(module) for name, module in found.model.named_modules()}
    result = change(found)
    return before, objects, result


@pytest.mark.parametrize("name", NAMES)
def test_recalibrate(name):
    found = case(name)
    before, _, result = there_and_back(found, recalibrated)
    assert marks(found.model) != before
    result.undo()
    assert marks(found.model) == before
    result.undo()
    assert marks(found.model) == before


@pytest.mark.parametrize("change", [repaired, relocated, replaced])
def test_what_changes_a_model_is_undone(change):
    found = case("through", batches=16, samples=128)
    before, objects, result = there_and_back(found, change)
    now = {name: id(module) for name, module in found.model.named_modules()}
    assert marks(found.model) != before or now != objects
    for _ in range(2):
        result.undo()
        assert marks(found.model) == before
        assert {name: id(module) for name, module in found.model.named_modules()} == objects


def test_what_was_loaded_has_no_model_to_undo():
    found = case("linear")
    for change in (recalibrated, relocated):
        loaded = pickle.loads(pickle.dumps(change(found)))
        before = marks(found.model)
        with pytest.raises(vs.UsageError, match="loaded or copied"):
            loaded.undo()
        assert marks(found.model) == before


# New: `undo()` of a repair that changed nothing raised UsageError before; it has nothing to do now.
def test_where_nothing_was_changed_undo_does_nothing():
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    data = torch.randn(256, 6).split(64)
    before = marks(model)
    repair = vs.repair(model, data)
    assert not repair.accepted
    repair.undo()
    repair.undo()
    assert marks(model) == before
