"""What a judge may be asked, to its borders."""

from __future__ import annotations

import pytest
import torch

from varshift.errors import UsageError
from varshift.judging import Judge


def zero(out, batch):
    return torch.zeros(1)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"passes": 2, "max_held_out": 2},
        {"level": 1e-9},
        {"level": 1 - 1e-9},
        *({"kind": kind} for kind in ("logits", "probabilities", "values")),
        {"labels": False},
        {"loss": zero},
    ],
)
def test_what_may_be_asked(asked):
    judge = Judge.of(None, asked)
    assert {name: getattr(judge, name) for name in asked} == asked
    assert Judge.of(judge, {}) is judge


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"passes": 1}, "passes is 1; an average needs at least 2"),
        ({"passes": 2.5}, "passes is 2.5"),
        ({"level": 0}, "level is 0; pass a chance between 0 and 1"),
        ({"level": 1}, "level is 1;"),
        ({"kind": "LOGITS"}, "kind is 'LOGITS'; pass one of logits, probabilities, values"),
        ({"loss": zero, "labels": False}, "pass one of the two"),
        ({"max_held_out": 1}, "max_held_out must be at least 2"),
    ],
)
def test_what_may_not(asked, said):
    with pytest.raises(UsageError, match=said):
        Judge(**asked)


def test_one_way_to_say_it():
    with pytest.raises(TypeError, match=r"repair\(\) got an unexpected keyword argument 'colour'"):
        Judge.of(None, {"level": 0.1, "colour": 1})
    with pytest.raises(UsageError, match="judge= and level= both say how to judge"):
        Judge.of(Judge(), {"level": 0.1})
    with pytest.raises(UsageError, match="judge is a str; pass a varshift"):
        Judge.of("strict", {})
