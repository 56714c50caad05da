"""Which samples stand on both sides: told by all that is known of them."""

from __future__ import annotations

from collections import UserDict

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._engine.session import session
from varshift._repair.split import split_data

NET = nn.Linear(4, 3)
X = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(40) % 3
MASK = torch.ones(40, 6, dtype=torch.bool)


def shared(data, held_out):
    with session(NET, forward=lambda model, batch: None) as run:
        split = split_data(run, data, held_out, max_samples=100, max_held_out=100, seed=0)
    return split.shared


FORMS = {
    "tensors": lambda x, y: x,
    "pairs": lambda x, y: (x, y),
    "labels first": lambda x, y: {"labels": y, "x": x},
    "mask first": lambda x, y: {"mask": MASK[: len(x)], "x": x},
    "mask first in a tuple": lambda x, y: (MASK[: len(x)], x),
    "mapping": lambda x, y: UserDict(labels=y, x=x),
    "integers": lambda x, y: ((10 * x).long(), y),
}


@pytest.mark.parametrize("form", FORMS)
def test_other_samples_are_others_and_equal_ones_are_found(form):
    made = FORMS[form]
    ours = [made(X[:20], Y[:20])]
    assert shared(ours, [made(X[20:], Y[20:])]) == 0
    assert shared(ours, [made(X[14:34], Y[14:34])]) == 6
    with pytest.raises(
        vs.DataError, match="20 of 20 held-out samples are among the calibration samples"
    ):
        shared(ours, [made(X[:20], Y[:20])])


def test_labels_tell_samples_apart_where_both_sides_have_some():
    coarse = X[:, :2].sign()  # few inputs there can be, so that many are equal
    assert shared([(coarse[:20], torch.arange(20))], [(coarse[20:], torch.arange(20, 40))]) == 0
    # Labels on one side alone do not hide that the inputs are the same.
    with pytest.raises(vs.DataError, match="20 of 20 held-out samples"):
        shared([X[:20]], [(X[:20], Y[:20])])


def test_labels_of_another_form_are_no_matter_here():
    ours, theirs = [(X[:20], [0] * 20)], [(X[10:30], [0] * 20)]
    assert shared(ours, theirs) == 10


def test_what_says_too_little_marks_nothing():
    assert shared([torch.zeros(20)], [torch.zeros(20)]) == 0
    assert shared([torch.zeros(20, 1)], [torch.zeros(20, 1)]) == 0
