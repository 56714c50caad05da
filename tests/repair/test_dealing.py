"""How many samples stand on each side, which ones, and that none is lost or stands on both."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._engine.session import session
from varshift._repair.split import split_data

X = torch.arange(200.0)[:, None] + torch.tensor([[0.0, 0.5]])


def split(data, held_out=None, *, max_samples=1000, max_held_out=1000, seed=0):
    with session(nn.Linear(2, 2), forward=lambda model, batch: None) as run:
        return split_data(
            run, data, held_out, max_samples=max_samples, max_held_out=max_held_out, seed=seed
        )


def values(batches):
    return [int(value) for batch in batches for value in batch.value[:, 0]]


def test_held_out_data_is_taken_as_it_is_up_to_the_bound():
    found = split(X[:100].split(10), X[100:].split(10), max_samples=40, max_held_out=30)
    assert values(found.calibration) == list(range(40))
    assert values(found.held_out) == list(range(100, 130))
    assert (found.samples, found.seed, found.shared) == ((40, 30), None, 0)


@pytest.mark.parametrize(("ours", "theirs"), [(150, 50), (100, 100), (195, 5)])
def test_one_set_is_dealt_in_the_shares_that_were_asked_for(ours, theirs):
    found = split(X.split(20), max_samples=ours, max_held_out=theirs, seed=3)
    assert found.samples == (ours, theirs)  # the batch on the border is cut
    both = values(found.calibration), values(found.held_out)
    assert sorted([*both[0], *both[1]]) == list(range(200))
    assert (found.seed, found.shared) == (3, 0)
    again = split(X.split(20), max_samples=ours, max_held_out=theirs, seed=3)
    assert (values(again.calibration), values(again.held_out)) == both
    other = split(X.split(20), max_samples=ours, max_held_out=theirs, seed=4)
    assert values(other.held_out) != both[1]


def test_no_more_is_read_than_both_sides_may_hold():
    found = split(X.split(10), max_samples=30, max_held_out=30)
    assert sum(found.samples) == 60
    assert max(values([*found.calibration, *found.held_out])) == 59


def test_a_single_batch_is_cut():
    assert split([X], max_samples=150, max_held_out=50).samples == (150, 50)


def test_too_few_samples_are_asked_about():
    with pytest.raises(vs.UsageError, match="max_samples must be at least 2"):
        split([X], max_samples=1)
    assert split([X[:4]], max_samples=2, max_held_out=2).samples == (2, 2)


def test_a_single_batch_that_cannot_be_cut_is_refused():
    with pytest.raises(vs.DataError, match="data is a single batch that cannot be cut in two"):
        split([X[:1]])
    found = split([X[:1], X[1:2]])  # of two, one stands on each side
    assert found.samples == (1, 1)
