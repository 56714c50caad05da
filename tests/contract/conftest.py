"""What several themes look at: results, made once."""

from __future__ import annotations

import pytest
import torch

import varshift as vs
from contract.cases import case, seeded


@pytest.fixture(autouse=True)
def seed():
    """Each test draws the same noise, whatever ran before it."""
    with seeded(0):
        yield


@pytest.fixture(scope="session", autouse=True)
def imported():
    """Libraries that torch imports on first use have set their warning filters, once for all."""
    with seeded(0):
        vs.repair(*case("linear").lent)


@pytest.fixture(scope="session")
def results():
    """By name, one result of each class, every list in it filled where that is possible."""
    with seeded(0):
        found = case("several", batches=16, samples=128)
        other = case("several", batches=2, samples=128, seed=5)
        example, lent = found.batches[0], (found.model, found.batches)
        labelled = [(batch, torch.randint(3, (len(batch),))) for batch in found.batches]
        made = {
            "inspect": vs.inspect(found.model, example),
            "measure": vs.measure(*lent),
            "explain": vs.explain(*lent, test_data=found.batches),
            "diagnose": vs.diagnose(*lent, found.batches, other.batches),
            "predict": vs.predict(*lent),
            "footprint": vs.footprint(*lent),
            "check": vs.check(found.model, data=found.batches),
            "recalibrate": vs.recalibrate(*lent),
            "repair": vs.repair(*case("through", batches=16, samples=128).lent),
            "repair with labels": vs.repair(found.model, labelled),
            "relocate": vs.relocate(*_lent_once("through")),
            "replace": vs.replace(*_lent_once("linear"), "gaussian"),
        }
        by_hand = case("functional")
        made["patch"] = vs.relocate(by_hand.model, by_hand.batches[0])
    return made


def _lent_once(name):
    found = case(name)
    return found.model, found.batches[0]
