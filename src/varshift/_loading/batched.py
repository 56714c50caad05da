"""Batches that are read when they are asked for, as often as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

__all__ = ["Batched", "Shard", "in_random_order"]

Shard = tuple[int, int]  # this rank, and of how many: every so many-th batch is its own


class Batched:
    """An iterable of what `read` makes of the positions of each batch.

    >>> held = Batched(lambda at: [10 * each for each in at], [0, 1, 2, 3, 4], 2)
    >>> list(held), len(held)
    ([[0, 10], [20, 30], [40]], 3)
    >>> list(Batched(lambda at: list(at), [0, 1, 2, 3, 4], 2, (1, 2)))
    [[2, 3]]
    """

    def __init__(
        self,
        read: Callable[[Sequence[int]], Any],
        order: Sequence[int],
        batch_size: int,
        shard: Shard = (0, 1),
    ) -> None:
        rank, ranks = shard
        batches = [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
        self._read, self._batches = read, batches[rank::ranks]

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Any]:
        return (self._read(batch) for batch in self._batches)


def in_random_order(count: int) -> list[int]:
    """A fixed one: folders are sorted by class, and the first samples must stand for all."""
    order: list[int] = torch.randperm(
        count, generator=torch.Generator().manual_seed(0), device="cpu"
    ).tolist()
    return order
