"""Moments over the ranks of a process group: merged in rank order, the same bits everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from varshift._engine.sites import norm_handles
from varshift.errors import ModelError, UsageError
from varshift.theory.moments import Moments, merge_all

__all__ = ["Ranks"]

_DONE, _FAILED = -1, -2


class Ranks:
    """The ranks that measure together; one alone where there is no process group.

    Every rank takes part in every exchange until all are through, whether or not its own data
    reaches a site; a rank that fails says so in its next exchange and all of them raise.
    """

    def __init__(self, paths: list[str] | None, device: torch.device | None = None) -> None:
        self._paths = paths
        self._device = device
        self._failed = False
        self._channels = 0

    @classmethod
    def of(cls, model: nn.Module, sync: bool | None = None) -> Ranks:
        """All ranks of the default group, or just this one; `sync=None` means if there is one."""
        grouped = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        if sync and not grouped:
            raise UsageError("sync=True, but no process group of more than one rank is initialised")
        if not grouped or sync is False:
            return cls(None)
        device = next((tensor.device for tensor in [*model.parameters(), *model.buffers()]), None)
        paths = list(norm_handles(model))
        return cls(paths, device)

    @property
    def several(self) -> bool:
        """Whether there is anybody to talk to."""
        return self._paths is not None

    @property
    def rank(self) -> int:
        """Number of this rank."""
        return dist.get_rank() if self.several else 0

    @contextmanager
    def together(self) -> Iterator[None]:
        """What happens inside happens on all ranks or on none."""
        yield

    def gather(self, value: Any, what: str = "a value") -> list[Any]:
        """The value of every rank, in rank order."""
        if not self.several:
            return [value]
        found: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(found, value)
        return found

    def any(self, found: bool) -> bool:
        """Whether any rank has found it."""
        return any(self.gather(bool(found)))

    def next_site(self, path: str | None) -> str | None:
        """The site that all ranks settle next; None when all are through."""
        if self._paths is None:
            return path
        said = self._gather([_DONE if path is None else self._paths.index(path)])
        self._refuse_failures(said)
        waiting = [at for (at,) in said if at >= 0]
        return self._paths[min(waiting)] if waiting else None

    def merged(self, parts: list[Moments]) -> Moments:
        """The moments of all ranks together, from each rank's own."""
        if self._paths is None:
            return merge_all(parts)
        own = merge_all(parts) if parts else None
        heads = self._gather([own.count if own else 0, len(own.mean) if own else 0])
        channels = max(channels for _, channels in heads)
        own = own or Moments.empty(channels)
        values = self._exchange(torch.cat([own.mean, own.m2]))
        return merge_all(
            Moments(count, value[:channels], value[channels:])
            for (count, _), value in zip(heads, values, strict=True)
            if count
        )

    def announce(self, error: BaseException) -> None:
        """Tell the others that this rank fails, unless it fails because another one did."""
        if self._paths is not None and not self._failed:
            self._failed = True
            self._gather([_FAILED])

    def agree(self, fine: bool) -> bool:
        """Whether it is fine on every rank."""
        if self._paths is None:
            return fine
        return all(said for (said,) in self._gather([int(fine)]))

    def _refuse_failures(self, said: list[list[int]]) -> None:
        failed = [rank for rank, (at,) in enumerate(said) if at == _FAILED]
        if failed:
            self._failed = True
            raise ModelError(
                f"rank {failed[0]} failed (its own message says why); nothing was changed here"
            )

    def _gather(self, numbers: list[int]) -> list[list[int]]:
        return [x.tolist() for x in self._exchange(torch.tensor(numbers, dtype=torch.int64))]

    def _exchange(self, tensor: Tensor) -> list[Tensor]:
        tensor = tensor.to(self._device) if self._device is not None else tensor
        gathered: list[Any] = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
        dist.all_gather(gathered, tensor.contiguous())
        return [x.cpu() for x in gathered]
