"""What the engine says of data and norms, and what its notes are about."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._engine.bybatch import notes_on_batch_statistics
from varshift.results import NoteKind


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (math.inf, r"1 value that is NaN or infinite, the first \(infinite\) at index \(2, 1\)"),
        (-math.inf, r"1 value .* at index \(2, 1\) of a tensor of shape \(4, 3\)"),
        (math.nan, r"1 value that is NaN or infinite, the first \(NaN\) at index \(2, 1\)"),
    ],
)
def test_one_value_that_is_not_finite_is_named(value, said):
    x = torch.randn(4, 3)
    x[2, 1] = value
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3))
    with pytest.raises(vs.DataError, match=f"batch 1 holds {said}"):
        vs.measure(net, [torch.randn(4, 3), x])


def test_a_norm_by_its_batch_is_noted_with_its_reason():
    norms = [
        SimpleNamespace(path="own", registered=True),
        SimpleNamespace(path="h", registered=False),
    ]
    notes = list(notes_on_batch_statistics(SimpleNamespace(norms=norms), ["own", "h", "later"]))
    assert [(note.kind, note.about) for note in notes] == [
        (NoteKind.BY_BATCH, "own"),
        (NoteKind.BY_BATCH, "h"),
        (NoteKind.BY_BATCH, "later"),
    ]
    by_call = "by its batch in evaluation too (training=True in its call, or a train() that keeps"
    unreached = "by its batch in evaluation too (eval() does not reach this norm)"
    for note, why in zip(notes, (by_call, unreached, by_call), strict=True):
        assert note.startswith(f"{note.about}: normalises {why}")
