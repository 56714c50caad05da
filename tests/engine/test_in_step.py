"""As many forwards on every rank, whatever data each has: stand-ins run, and do not count."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch

from varshift._engine.batches import Batch
from varshift._engine.instep import in_step


class Group:
    """Ranks in threads of this process; `sent` is all that went between them."""

    def __init__(self, ranks):
        self.given, self.barrier, self.sent = [None] * ranks, Barrier(ranks, timeout=60), []

    def gather(self, rank, value):
        self.given[rank] = value
        self.barrier.wait()
        found = list(self.given)
        self.barrier.wait()
        if rank == 0:
            self.sent.append(found)
        return found


class Rank:
    def __init__(self, group, number):
        self.gather = lambda value: group.gather(number, value)


def runs(shares):
    """What each rank runs, and whether it counts; what was sent."""
    group = Group(len(shares))

    def work(rank):
        data = [Batch(i, torch.tensor([value]), 1) for i, value in enumerate(shares[rank])]
        found = in_step(data, Rank(group, rank), lambda value: Batch(0, value, len(value)))
        return [(int(batch.value), counts) for batch, counts in found]

    with ThreadPoolExecutor(len(shares)) as pool:
        return list(pool.map(work, range(len(shares)))), group.sent


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([[], [5, 6, 7]], [[(5, False)] * 3, [(5, True), (6, True), (7, True)]]),
        ([[1], [5, 6]], [[(1, True), (1, False)], [(5, True), (6, True)]]),
        ([[1, 2], [5, 6]], [[(1, True), (2, True)], [(5, True), (6, True)]]),
        ([[], [], [5]], [[(5, False)], [(5, False)], [(5, True)]]),
        ([[], []], [[], []]),
    ],
)
def test_who_has_no_more_batches_runs_another(shares, expected):
    assert runs(shares)[0] == expected


def test_batches_are_sent_once():
    _, sent = runs([[], [5, 6, 7]])
    assert sent == [[None, torch.tensor([5])], [None, True], [None, True], [None, None]]
