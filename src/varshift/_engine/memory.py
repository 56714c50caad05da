"""Say that the micro-batches do not fit before the machine says it by killing the process."""

from __future__ import annotations

import os
import time
from pathlib import Path

from varshift._counting import counted
from varshift.errors import MemoryBoundError

__all__ = ["MemoryBound"]

_STATUS = Path("/proc/self/statm")
_MEMINFO = Path("/proc/meminfo")
_SHARE = 0.8  # of what is free at the start


class MemoryBound:
    """A bound on how much this process may grow: `max_bytes`, or 80 % of what is free."""

    def __init__(self, max_bytes: int | None = None) -> None:
        self._start = _resident()
        self._budget = max_bytes if max_bytes is not None else _available()
        self._asked = max_bytes is not None
        self._next = 0.0

    def check(self, samples: int, micro_batches: int) -> None:
        """Raise a MemoryBoundError that names the options if the bound is passed."""
        if self._budget is None or self._start is None:
            return
        # Asking the system costs as much as a small layer; the free memory is not gone in 50 ms.
        if not self._asked and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + 0.05
        grown = (_resident() or 0) - self._start
        if grown <= self._budget:
            return
        fits = max(1, int(0.8 * samples * self._budget / grown))
        bound = "max_bytes" if self._asked else f"{_SHARE:.0%} of the free memory"
        raise MemoryBoundError(
            f"{counted(samples, 'sample')} in {counted(micro_batches, 'micro-batch')} take "
            f"{_size(grown)} of live activations, more than {bound} ({_size(self._budget)}); pass "
            f"max_samples={fits} or less, or raise max_bytes",
            fits,
        )


def _resident() -> int | None:
    try:
        pages = int(_STATUS.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None  # not Linux: no bound
    return pages * os.sysconf("SC_PAGE_SIZE")


def _available() -> int | None:
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return None
    free = next((line for line in lines if line.startswith("MemAvailable:")), None)
    return int(_SHARE * 1024 * int(free.split()[1])) if free else None


def _size(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
