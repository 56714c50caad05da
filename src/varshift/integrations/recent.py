"""The last training batches, within a bound on samples and on memory."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from varshift._engine import tensors_of
from varshift._engine.nested import copied, mapped
from varshift.errors import UsageError

__all__ = ["Recent"]


@dataclass(frozen=True, eq=False)
class _Kept:
    batch: Any
    epoch: int
    samples: int
    bytes: int
    place: int | None  # of its largest tensor, where that is not a copy


class Recent:
    """The batches that training saw last, the newest first; the newest is always kept.

    No loader is iterated for them, and they have been through whatever the trainer does to a batch:
    moved, converted, augmented on the device. With `copied` they are copies: for batches that a
    model has not had yet, and may write into. So they are once a batch comes in the memory of
    another: what that one held is gone.

    >>> import torch
    >>> recent = Recent(max_samples=5)
    >>> for n in (4, 3, 2):
    ...     recent.add(torch.zeros(n, 1))
    >>> [len(batch) for batch in recent.batches()]
    [2, 3]
    """

    def __init__(self, max_samples: int, max_bytes: int = 2**29, copied: bool = False) -> None:
        if not isinstance(max_samples, int) or max_samples < 2:
            raise UsageError(
                f"max_samples is {max_samples!r}; a variance takes at least 2 samples, and 2,000 "
                "suffice"
            )
        if max_bytes < 1:
            raise UsageError(f"max_bytes is {max_bytes}; it must be at least 1")
        self.max_samples, self._max_bytes, self._copied = max_samples, max_bytes, copied
        self._kept: deque[_Kept] = deque()
        self._samples = self._bytes = 0

    def add(self, batch: Any, epoch: int = 0) -> None:
        """Keep this one, and let go of the oldest that are not needed or have no room."""
        tensors = list(tensors_of(batch))
        if not tensors:
            return
        place = _place(tensors)
        if place is not None and any(place == each.place for each in self._kept):
            self._copied = True
            self._let_go(place)
        if self._copied:
            place = None
            batch = mapped(copied(batch), lambda tensor: tensor.detach())
        elif any(tensor.requires_grad for tensor in tensors):
            # A step that wrote into the batch would keep the graph of its pass alive.
            batch = mapped(batch, lambda tensor: tensor.detach())
        samples = next((len(tensor) for tensor in tensors if tensor.ndim), 1)
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        self._kept.append(_Kept(batch, epoch, samples, size, place))
        self._samples, self._bytes = self._samples + samples, self._bytes + size
        while len(self._kept) > 1 and (
            self._samples - self._kept[0].samples >= self.max_samples
            or self._bytes > self._max_bytes
        ):
            gone = self._kept.popleft()
            self._samples, self._bytes = self._samples - gone.samples, self._bytes - gone.bytes

    def forget(self) -> None:
        """Another training begins."""
        self._kept.clear()
        self._samples = self._bytes = 0

    def _let_go(self, place: int | None) -> None:
        self._kept = deque(each for each in self._kept if each.place != place)
        self._samples = sum(each.samples for each in self._kept)
        self._bytes = sum(each.bytes for each in self._kept)

    def batches(self, last_epoch_alone: bool = False) -> list[Any]:
        """All, or those of the newest one's epoch; newest first, since `max_samples` cuts the end.

        At the end of an epoch that epoch alone is a training set, the same in a run that was
        resumed at its start as in one that never stopped.
        """
        newest = self._kept[-1].epoch if self._kept else None
        return [
            each.batch
            for each in reversed(self._kept)
            if not last_epoch_alone or each.epoch == newest
        ]


def _place(tensors: list[Tensor]) -> int | None:
    """Where the largest one lies; None where that cannot be told."""
    largest = max(tensors, key=lambda tensor: tensor.numel())
    if largest.layout != torch.strided or largest.is_meta:
        return None
    return largest.data_ptr() or None
