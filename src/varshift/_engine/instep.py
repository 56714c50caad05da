"""Ranks that must run as many forwards: each forward of a sharded model waits for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from varshift._engine.batches import Batch
from varshift._engine.ranks import Ranks

__all__ = ["in_step"]


def in_step(
    data: Iterable[Batch], ranks: Ranks, example: Callable[[Any], Batch]
) -> Iterator[tuple[Batch, bool]]:
    """The batches of this rank, and whether they count; as many on every rank.

    A rank that has no more batches runs an earlier one again, or another rank's, made a batch of
    its own by `example`, without counting it.
    """
    waiting, stand_in = iter(data), None
    while True:
        batch = next(waiting, None)
        given = ranks.gather(None if batch is None else _portable(batch, stand_in))
        if all(each is None for each in given):
            return
        if stand_in is None:
            value = next(each for each in given if each is not None)
            stand_in = batch or example(value)
        yield batch or stand_in, batch is not None


def _portable(batch: Batch, stand_in: Batch | None) -> Any:
    """What ranks without data need of a batch: all of it at first, then that there is one."""
    return batch.value if stand_in is None else True
