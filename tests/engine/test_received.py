"""Which items of a batch a model was called with, and norms whose statistics are given."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from varshift._engine import received
from varshift._engine.regime import fixed
from varshift._engine.session import session

X, Y, Z = torch.randn(4, 3), torch.randn(4, 3), torch.arange(4)


def items(value, forward=None):
    with session(nn.Sequential(nn.Linear(3, 3)), forward=forward) as run, run.trying():
        out, found = received(run, run.example(value))
    assert tuple(out.shape) == (4, 3)
    return set(found)


def test_without_a_forward_it_is_the_first_item():
    assert items((X, Y, Z)) == {0}
    assert items([X, Z]) == {0}


@pytest.mark.parametrize(
    ("forward", "found"),
    [
        (lambda model, batch: model(batch[1]), {1}),
        (lambda model, batch: model(batch[0]) + model(batch[1]), {0, 1}),
        (lambda model, batch: model(input=batch[0].view(4, 3)), {0}),
        (lambda model, batch: model(batch[0] * 1), set()),  # changed first
    ],
)
def test_with_one_it_is_what_modules_were_given(forward, found):
    assert items((X, Y, Z), forward) == found


def test_names_of_items():
    value = {"a": X, "b": Y, "c": Z}
    assert items(value, lambda model, batch: model(batch["b"])) == {"b"}


def test_a_norm_uses_the_statistics_that_are_given_for_its_path():
    made = []
    call = SimpleNamespace(path="bn", fixed=lambda held: made.append(held) or "changed")
    norms = fixed({"bn": "given", "other": "not this"})
    assert norms(call) == "changed"
    assert made == ["given"]
    assert norms(SimpleNamespace(path="unnamed")) is None
