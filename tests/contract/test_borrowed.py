"""A model is borrowed: it comes back as it was lent, also when the data fails half way."""

from __future__ import annotations

import pytest

import varshift as vs
from contract.cases import NAMES, case
from contract.marks import marks

VERBS = {
    "inspect": lambda found, data: vs.inspect(found.model, next(iter(data)), **found.keywords),
    "measure": lambda found, data: vs.measure(found.model, data, **found.keywords),
    "diagnose": lambda found, data: vs.diagnose(found.model, data, **found.keywords),
    "explain": lambda found, data: vs.explain(found.model, data, **found.keywords),
    "predict": lambda found, data: vs.predict(found.model, data, **found.keywords),
    "predict without data": lambda found, data: vs.predict(
        found.model, example=next(iter(data)), **found.keywords
    ),
    "footprint": lambda found, data: vs.footprint(found.model, data, **found.keywords),
    "check": lambda found, data: vs.check(found.model, next(iter(data)), **found.keywords),
    "check on data": lambda found, data: vs.check(found.model, data=data, **found.keywords),
}
WRITING = {
    "recalibrate": lambda found, data: vs.recalibrate(found.model, data, **found.keywords),
    "repair": lambda found, data: vs.repair(found.model, data, **found.keywords),
}
READS_ALL = ["measure", "diagnose", "explain", "predict", "footprint"]
REFUSED = {  # what has no statistics that could remember noise
    ("footprint", name) for name in ("reused", "functional")
}


@pytest.mark.parametrize(
    ("name", "training"),
    [(name, True) for name in NAMES]
    + [(name, False) for name in ("linear", "through", "frozen", "functional")],
)
def test_given_back(name, training):
    found = case(name, samples=32)
    if not training:
        found.model.eval()
    for verb, run in VERBS.items():
        before = marks(found.model)
        if (verb, name) in REFUSED:
            with pytest.raises(vs.ModelError):
                run(found, found.batches)
        else:
            run(found, found.batches)
        assert_same(before, marks(found.model), verb)


@pytest.mark.parametrize("name", NAMES)
def test_given_back_where_the_data_fails_half_way(name):
    found = case(name, samples=32)
    verbs = {verb: VERBS[verb] for verb in (*READS_ALL, "check on data")} | WRITING
    for verb, run in verbs.items():
        before = marks(found.model)
        with pytest.raises(OSError, match="the disk is gone"):
            run(found, failing(found.batches))
        assert_same(before, marks(found.model), verb)


@pytest.mark.parametrize("name", ["linear", "conv", "through", "functional"])
def test_given_back_where_the_model_fails(name):
    found = case(name, samples=32)
    calls = []

    def fails(*_):
        calls.append(1)
        if len(calls) >= 3:
            raise RuntimeError("no such luck")

    handle = found.tapped()[list(found.tapped())[-1]].register_forward_pre_hook(fails)
    verbs = {verb: VERBS[verb] for verb in (*READS_ALL, "check on data")} | WRITING
    for verb, run in verbs.items():
        calls.clear()
        before = marks(found.model)
        with pytest.raises(vs.ModelError, match="no such luck"):
            run(found, found.batches)
        assert_same(before, marks(found.model), verb)
    handle.remove()


def failing(batches):
    yield from batches[:5]
    raise OSError("the disk is gone")


def assert_same(before, after, verb):
    for what, held in before.items():
        assert after[what] == held, f"{verb} left a mark: {what}"


def test_a_mark_would_be_seen():
    found = case("linear", samples=32)
    before = marks(found.model)
    found.model(found.batches[0])
    changed = {what for what, held in marks(found.model).items() if held != before[what]}
    assert changed == {"bits", "torch"}
