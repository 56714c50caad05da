"""One set of samples in every form that data may have: the same figures each time."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass

import pytest
import torch
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

import varshift as vs
from contract.cases import case
from contract.models import MODULES

Pair = namedtuple("Pair", "image label")


@dataclass(frozen=True)
class Sample:
    image: torch.Tensor
    label: torch.Tensor
    name: str = "of no matter"


FORMS = {
    "tensors": lambda batches: batches,
    "a tuple of tensors": tuple,
    "pairs": lambda batches: [(batch, torch.zeros(len(batch))) for batch in batches],
    "lists": lambda batches: [[batch, torch.zeros(len(batch))] for batch in batches],
    "named tuples": lambda batches: [Pair(batch, torch.zeros(len(batch))) for batch in batches],
    "dataclasses": lambda batches: [Sample(batch, torch.zeros(len(batch))) for batch in batches],
    "dicts": lambda batches: [{"input": batch} for batch in batches],
    "a callable": lambda batches: lambda: iter(batches),
    "a generator": lambda batches: (batch for batch in batches),
    "an iterator": iter,
    "a loader": lambda batches: DataLoader(
        TensorDataset(torch.cat(list(batches))), batch_size=len(batches[0])
    ),
}
VERBS = {
    "measure": lambda *a, **k: vs.measure(*a, **k)["2"].test.var,
    "diagnose": lambda *a, **k: vs.diagnose(*a, **k).measurement["2"].test.var,
    "explain": lambda *a, **k: vs.explain(*a, **k).factors["2"].channels["total"],
    "predict": lambda *a, **k: vs.predict(*a, **k)["2"].delta,
    "recalibrate": lambda *a, **k: vs.recalibrate(*a, **k).sites["2"].after.var,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("verb", VERBS)
def test_forms(form, verb):
    plain, formed = case("linear"), case("linear")
    expected = VERBS[verb](*plain.lent)
    assert_close(VERBS[verb](formed.model, FORMS[form](formed.batches)), expected, **EXACT)


EXACT = {"rtol": 1e-12, "atol": 0.0}


@pytest.mark.parametrize("verb", VERBS)
def test_forward_takes_what_no_form_fits(verb):
    plain, formed = case("linear"), case("linear")
    data = [("name", {"deep": [batch]}) for batch in formed.batches]
    figure = VERBS[verb](
        *(formed.model, data), forward=lambda model, batch: model(batch[1]["deep"][0])
    )
    assert_close(figure, VERBS[verb](*plain.lent), **EXACT)


@pytest.mark.parametrize("verb", VERBS)
def test_max_samples_cuts_a_batch(verb):
    plain, formed = case("linear"), case("linear")
    head = torch.cat(plain.batches)[:100]
    expected = VERBS[verb](plain.model, [head[:64], head[64:]])
    assert_close(VERBS[verb](*formed.lent, max_samples=100), expected, **EXACT)


def test_a_loader_is_read_no_further_than_needed():
    found, taken = case("linear"), []

    def endless():
        while True:
            taken.append(1)
            yield found.batches[0]

    assert vs.measure(found.model, endless(), max_samples=128).samples == 128
    assert len(taken) == 2


def test_batches_are_borrowed_too():
    found = case("linear")
    before = [batch.clone() for batch in found.batches]
    found.model[0].inplace = True
    vs.measure(*found.lent)
    vs.explain(*found.lent)
    assert all(map(torch.equal, found.batches, before))


def test_dicts_go_in_as_keywords_and_examples_have_the_same_forms():
    model = MODULES["dicts"]()
    batch = {"values": torch.randn(8, 6), "gain": torch.ones(8, 1)}
    assert [route.norm for route in vs.inspect(model, batch).routes] == ["norm"]
    linear = MODULES["linear"]()
    for example in (torch.randn(8, 6), (torch.randn(8, 6), torch.zeros(8))):
        assert [route.norm for route in vs.inspect(linear, example).routes] == ["2"]


def test_progress_is_told_batch_by_batch():
    found, told = case("linear"), []
    vs.measure(*found.lent, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (8, 8)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
