"""Where a module was constructed is known to the character."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from varshift._rewrite.calls import Text
from varshift._rewrite.constructing import constructions
from varshift.results.edits import read_source


class Quiet(nn.Dropout):
    """Calls its parent's constructor in its own."""

    def __init__(self, p=0.1):
        super().__init__(p=p)


def cut(built):
    text = Text(read_source(built.file))
    return text.cut(text.call_at(built.line, built.start, built.last, built.end))


def test_each_call_is_told_from_its_neighbours():
    with constructions() as built:
        one, two = nn.Dropout(0.1), nn.Sequential(nn.Dropout(0.2), Quiet(), nn.Linear(2, 2))
        é, three = "é", nn.Dropout(0.3)
    assert cut(built.of(one)) == "nn.Dropout(0.1)"
    assert [cut(built.of(layer)) for layer in two] == [
        "nn.Dropout(0.2)",
        "Quiet()",
        "nn.Linear(2, 2)",
    ]
    assert (é, cut(built.of(three))) == ("é", "nn.Dropout(0.3)")


def test_what_was_made_before_or_copied_is_not_known():
    before = nn.Dropout()
    with constructions() as built:
        made = nn.Dropout()
    assert built.of(before) is None
    assert built.of(copy.deepcopy(made)) is None
    assert built.of(nn.Dropout()) is None


def test_torch_is_what_it_was_also_when_a_factory_raises():
    original = nn.Module.__init__

    def factory():
        assert nn.Module.__init__ is not original
        raise RuntimeError("disk gone")

    with pytest.raises(RuntimeError, match="disk gone"), constructions():
        factory()
    assert nn.Module.__init__ is original


def test_layers_of_torchs_own_are_constructed_in_torch():
    with constructions() as built:
        layer = nn.TransformerEncoderLayer(8, 2)
    assert built.of(layer.dropout1).file.startswith(torch.__path__[0])
