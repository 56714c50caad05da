"""The last training batches, by reference, within a bound on samples and on memory."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from varshift._engine import tensors_of
from varshift._engine.nested import mapped

__all__ = ["Recent"]


@dataclass(frozen=True, eq=False)
class _Kept:
    batch: Any
    epoch: int
    samples: int
    bytes: int


class Recent:
    """References to the batches that training saw last; the newest is always kept.

    No loader is iterated for them, and they have been through whatever the trainer does to a batch:
    moved, converted, augmented on the device.
    """

    def __init__(self, max_samples: int, max_bytes: int) -> None:
        self._max_samples, self._max_bytes = max_samples, max_bytes
        self._kept: deque[_Kept] = deque()
        self._samples = self._bytes = 0

    def add(self, batch: Any, epoch: int) -> None:
        """Keep this one, and let go of the oldest that are not needed or have no room."""
        tensors = list(tensors_of(batch))
        if not tensors:
            return
        if any(tensor.requires_grad for tensor in tensors):
            # A step that wrote into the batch would keep the graph of its pass alive.
            batch = mapped(batch, lambda tensor: tensor.detach())
        samples = len(tensors[0]) if tensors[0].ndim else 1
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        self._kept.append(_Kept(batch, epoch, samples, size))
        self._samples, self._bytes = self._samples + samples, self._bytes + size
        while len(self._kept) > 1 and (
            self._samples - self._kept[0].samples >= self._max_samples
            or self._bytes > self._max_bytes
        ):
            gone = self._kept.popleft()
            self._samples, self._bytes = self._samples - gone.samples, self._bytes - gone.bytes

    def batches(self, last_epoch_alone: bool) -> list[Any]:
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
