"""Another item in a batch of any form: all others as they are, the batch itself untouched."""

from __future__ import annotations

from collections import UserDict, namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch

from varshift._engine.nested import first_item, items_of, with_item

Pair = namedtuple("Pair", "x y")
X, Y, NEW = torch.randn(3, 2), torch.arange(3), torch.ones(3)


@dataclass(frozen=True)
class Batch:
    x: torch.Tensor
    y: torch.Tensor


class Graph:
    """Keeps its items elsewhere, as torch_geometric's do."""

    def __init__(self, **items):
        self.__dict__["store"] = items

    def __setattr__(self, name, value):
        self.__dict__["store"] = {**self.store, name: value}

    def __getattr__(self, name):
        if name not in self.__dict__.get("store", ()):
            raise AttributeError(name)
        return self.__dict__["store"][name]

    def to_dict(self):
        return dict(self.store)


FORMS = {
    "tuple": ((X, Y), 1),
    "list": ([X, Y], 1),
    "named tuple": (Pair(X, Y), "y"),
    "dict": ({"x": X, "y": Y}, "y"),
    "mapping": (UserDict(x=X, y=Y), "y"),
    "frozen dataclass": (Batch(X, Y), "y"),
    "object": (SimpleNamespace(x=X, y=Y), "y"),
    "graph": (Graph(x=X, y=Y), "y"),
}


@pytest.mark.parametrize("form", FORMS)
def test_one_item_is_another(form):
    value, key = FORMS[form]
    changed = with_item(value, key, NEW)
    assert type(changed) is type(value)
    assert changed is not value
    before, after = items_of(value), items_of(changed)
    assert before[key] is Y
    assert after[key] is NEW
    assert list(before) == list(after)
    assert next(iter(after.values())) is X


def test_the_first_item_is_what_a_model_is_called_with():
    for form in ("tuple", "list", "named tuple", "frozen dataclass"):
        assert first_item(FORMS[form][0]) is X
    for value in (X, (), FORMS["dict"][0], FORMS["graph"][0]):
        assert first_item(value) is value
