"""The last training batches, kept within bounds."""

from __future__ import annotations

import pytest
import torch

from varshift.errors import UsageError
from varshift.integrations.recent import Recent


def batch(value, samples=10, features=4):
    return torch.full((samples, features), float(value)), torch.zeros(samples)


def kept(recent, last_epoch_alone=False):
    return [int(x[0, 0]) for x, _ in recent.batches(last_epoch_alone)]


def test_as_many_batches_are_kept_as_the_samples_asked_for_need():
    recent = Recent(max_samples=25, max_bytes=2**20)
    for index in range(10):
        recent.add(batch(index), epoch=0)
    assert kept(recent) == [9, 8, 7]
    recent.add(batch(10, samples=100), epoch=0)
    assert kept(recent) == [10]


def test_memory_is_bounded_and_the_newest_is_kept_in_any_case():
    size = 10 * (4 + 1) * 4
    recent = Recent(max_samples=10**6, max_bytes=2 * size)
    for index in range(10):
        recent.add(batch(index), epoch=0)
    assert kept(recent) == [9, 8]
    recent = Recent(max_samples=10**6, max_bytes=1)
    for index in range(3):
        recent.add(batch(index), epoch=0)
    assert kept(recent) == [2]


def test_a_whole_epoch_stands_alone():
    recent = Recent(max_samples=100, max_bytes=2**20)
    for epoch in (0, 1):
        for index in range(3):
            recent.add(batch(10 * epoch + index), epoch)
    assert kept(recent) == [12, 11, 10, 2, 1, 0]
    assert kept(recent, last_epoch_alone=True) == [12, 11, 10]


def test_references_are_kept_and_no_graph():
    recent = Recent(max_samples=100, max_bytes=2**20)
    x, y = batch(1)
    recent.add((x, y), epoch=0)
    assert recent.batches(False)[0][0] is x
    weight = torch.ones(4, requires_grad=True)
    recent.add({"x": x, "logits": x @ weight}, epoch=0)
    newest = recent.batches(False)[0]
    assert newest["logits"].grad_fn is None
    assert newest["logits"].data_ptr() != 0


def test_a_batch_without_tensors_is_none():
    recent = Recent(max_samples=100, max_bytes=2**20)
    recent.add(None, epoch=0)
    recent.add(["a name"], epoch=0)
    assert recent.batches(False) == []


def test_copies_are_kept_where_they_are_asked_for():
    recent = Recent(max_samples=100, copied=True)
    x, y = batch(1)
    recent.add({"name": "kept", "x": x, "y": y})
    x.zero_()
    (held,) = recent.batches()
    assert held["name"] == "kept"
    assert float(held["x"].min()) == 1


def test_bounds_that_mean_nothing_are_refused():
    with pytest.raises(UsageError, match="max_samples is 1; a variance takes at least 2"):
        Recent(max_samples=1)
    with pytest.raises(UsageError, match="max_bytes is 0"):
        Recent(max_samples=2, max_bytes=0)


def test_batches_that_come_in_one_memory_are_copied():
    recent, buffer = Recent(max_samples=25), torch.zeros(10, 4)
    for index in range(10):
        recent.add((buffer.fill_(index), torch.zeros(10)), epoch=0)
    assert kept(recent) == [9, 8, 7]
