"""A fixed slice of the generated faults; `make faults` runs them at large.

`FAULT_CASES` and `FAULT_SEED` ask for others here.
"""

from __future__ import annotations

import itertools
import os

import pytest
import torch

from faults.cases import FAULTS, cases, outcome
from faults.features import FEATURES
from faults.injecting import PACKAGE, Lines
from faults.verbs import VERBS

COUNT, SEED = (int(os.environ.get(f"FAULT_{k}", d)) for k, d in (("CASES", 240), ("SEED", 20)))
PARTS = 8  # so that several workers can share them


@pytest.mark.parametrize("part", range(PARTS))
def test_no_mark_is_left_in_silence(part):
    torch.set_num_threads(1)
    silent = {
        str(case): found.silent()
        for number, case in enumerate(cases(COUNT, SEED))
        if number % PARTS == part and (found := outcome(case)).silent()
    }
    assert silent == {}


def test_cases_are_the_same_for_the_same_seed_and_cover_everything():
    drawn = list(cases(3000, 0))
    assert drawn == list(cases(3000, 0)) != list(cases(3000, 1))
    assert {case.verb for case in drawn} == set(VERBS)
    assert {case.feature for case in drawn} == set(FEATURES)
    assert {case.fault for case in drawn} == set(FAULTS)


def test_a_mark_is_seen(monkeypatch):
    """Where the model is not given back, the generator says so."""
    from varshift._engine.borrow.kept import Kept

    monkeypatch.setattr(Kept, "restore", lambda kept: [])
    plain = (case for case in cases(20_000, 0) if case.fault == "none" and case.verb == "measure")
    found = [outcome(case) for case in itertools.islice(plain, 40)]
    # Some of the models have nothing that would have to be put back.
    assert sum(bool(each.silent()) for each in found) >= 28


def test_interrupts_strike_where_they_are_told_to():
    import varshift as vs
    from faults.features import data

    net = FEATURES["counter"]()
    with Lines(PACKAGE) as counted:
        vs.measure(net, data())
    assert counted.count > 1000
    with pytest.raises(KeyboardInterrupt), Lines(PACKAGE, [counted.count - 200, 50]) as lines:
        vs.measure(net, data())
    assert lines.left == []
