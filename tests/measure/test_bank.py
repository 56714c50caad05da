"""Passes alike wait for each other: what that must not change."""

from __future__ import annotations

import torch

from varshift._engine.batches import Batch
from varshift._engine.record.bank import Bank


def test_passes_that_reach_other_places_are_told_apart():

    torch.manual_seed(0)
    ways = (("a",), ("b",), ("a", "b"), ("b", "a"), ("a", "a"), ())
    bank, received = Bank("train"), {"a": [], "b": []}
    for index in range(80):  # from the eighth on passes alike wait for each other
        bank.begin(Batch(index, None, 4))
        for place in ways[int(torch.randint(len(ways), ()))]:
            x = torch.randn(4, 2 if place == "a" else 5) + index
            received[place].append(x)
            bank.add(place, x)
        bank.end()
    for place, parts in received.items():
        x, total = torch.cat(parts).double(), bank[place].total()
        assert total.count == len(x)
        torch.testing.assert_close(total.mean, x.mean(0), rtol=1e-6, atol=0)
        torch.testing.assert_close(total.var(), x.var(0), rtol=1e-6, atol=0)


def test_how_batches_differ_is_the_variance_of_their_means_and_variances():

    bank, batches = Bank("train", scattered=True), torch.randn(87, 3).split(9)  # the last has six
    batches += (torch.randn(1, 3),)  # of one value, which has no variance: not counted
    for index, batch in enumerate(batches):
        bank.begin(Batch(index, None, len(batch)))
        bank.add("norm", batch)
        bank.end()
        if index == 0:
            assert all(found.isnan().all() for found in bank["norm"].scattered)
    means, variances = bank["norm"].scattered
    told = [batch.double() for batch in batches[:-1]]
    expected = torch.stack([batch.mean(0) for batch in told]).var(0)
    torch.testing.assert_close(means, expected, rtol=1e-5, atol=0)
    expected = torch.stack([batch.var(0) for batch in told]).var(0)
    torch.testing.assert_close(variances, expected, rtol=1e-5, atol=0)
