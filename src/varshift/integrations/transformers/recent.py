"""The last training batches, kept for calibration."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from varshift._engine import tensors_of
from varshift._engine.nested import mapped
from varshift.errors import UsageError

__all__ = ["RecentBatches"]


class RecentBatches:
    """As many of the last batches as it takes for `max_samples` samples; the newest comes first.

    Copies are kept: a model may write into its input, and tensors that a loader's worker has made
    hold a file descriptor each for as long as they live.

    >>> import torch
    >>> recent = RecentBatches(max_samples=5)
    >>> for n in (4, 3, 2):
    ...     recent.add({"x": torch.full((n, 1), n)})
    >>> [len(batch["x"]) for batch in recent]
    [2, 3]
    """

    def __init__(self, max_samples: int) -> None:
        if not isinstance(max_samples, int) or max_samples < 2:
            raise UsageError(
                f"max_samples is {max_samples!r}; a variance takes at least 2 samples, and 2,000 "
                "suffice"
            )
        self.max_samples = max_samples
        self._batches: deque[tuple[int, Any]] = deque()
        self._samples = 0

    def add(self, batch: Any) -> None:
        """Take a copy of this batch in, and let go what is no longer needed."""
        copied = mapped(batch, lambda held: held.detach().clone(), "clone")
        samples = next((len(tensor) for tensor in tensors_of(copied) if tensor.ndim), 1)
        self._batches.append((samples, copied))
        self._samples += samples
        while self._samples - self._batches[0][0] >= self.max_samples:
            self._samples -= self._batches.popleft()[0]

    def __iter__(self) -> Iterator[Any]:
        return (batch for _, batch in reversed(self._batches))

    def __len__(self) -> int:
        return len(self._batches)
