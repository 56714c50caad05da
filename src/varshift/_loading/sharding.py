"""A loader of somebody's own on several ranks: each takes every so many-th batch of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from varshift._loading.batched import Shard

__all__ = ["Every", "every"]


class Every:
    """Every `ranks`-th batch of a loader, from this rank's own on; as often as it can be read.

    >>> list(Every("abcdefg", (1, 3)))
    ['b', 'e']
    """

    def __init__(self, loader: Iterable[Any], shard: Shard) -> None:
        self._loader, self._shard = loader, shard

    def __iter__(self) -> Iterator[Any]:
        rank, ranks = self._shard
        return islice(iter(self._loader), rank, None, ranks)


def every(loader: Any, shard: Shard, notes: list[str]) -> Any:
    """The loader's own shard; as it is with one rank, or where a sampler of its own deals it out.

    Also of a callable that gives a loader.
    """
    if shard[1] == 1:
        return loader
    if callable(loader) and not hasattr(loader, "__iter__"):
        return lambda: every(loader(), shard, notes)
    samplers = (getattr(loader, name, None) for name in ("sampler", "batch_sampler"))
    if any("Distributed" in type(sampler).__name__ for sampler in samplers):
        notes.append("the loader's own DistributedSampler deals its samples out to the ranks")
        return loader
    return Every(loader, shard)
