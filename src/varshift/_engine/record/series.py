"""What each place received batch after batch: means and variances, in a bounded number of rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["BatchSeries", "Stretch"]

_MOST = 64  # rows; beyond, neighbours are put together


@dataclass(frozen=True, eq=False)
class Stretch:
    """Some batches in a row at one place.

    Attributes:
        batches: how many.
        mean: (C,) float64, average of the batches' means.
        var: (C,) float64, average of their unbiased variances.
    """

    batches: int
    mean: Tensor
    var: Tensor


class BatchSeries:
    """Rows over the columns of a bank, in the order of the batches."""

    def __init__(self) -> None:
        self._length = 1  # batches of a row
        self._rows: dict[int, Tensor] = {}  # by number: counts, and sums of both, (3, D)
        self._batches = 0

    def add(self, columns: slice | Tensor, width: int, batches: list[int], both: Tensor) -> None:
        """Means and variances of some batches, (2, batches, columns); `width` of the whole bank.

        `batches` counts them from 0.
        """
        for at, batch in enumerate(batches):
            self._batches = max(self._batches, batch + 1)
            while self._batches > _MOST * self._length:
                self._halve()
            number = batch // self._length
            row = _widened(self._rows.get(number, _nothing(0)), width)
            row[0, columns] += 1
            row[1:, columns] += both[:, at]
            self._rows[number] = row

    def at(self, columns: slice) -> list[Stretch]:
        """The stretches of one place, in order; those that never reached it are left out."""
        found = []
        for number in sorted(self._rows):
            counts, means, variances = _widened(self._rows[number], columns.stop)[:, columns]
            count = int(counts[0])
            if count:
                found.append(Stretch(count, means / count, variances / count))
        return found

    def _halve(self) -> None:
        """Two neighbours become one row, and new rows are twice as long."""
        rows, self._rows, self._length = self._rows, {}, 2 * self._length
        width = max(row.shape[1] for row in rows.values())
        for number, row in rows.items():
            other = self._rows.get(number // 2, _nothing(width))
            self._rows[number // 2] = other + _widened(row, width)


def _widened(row: Tensor, width: int) -> Tensor:
    """At least so wide."""
    return torch.cat([row, _nothing(max(0, width - row.shape[1]))], 1)


def _nothing(width: int) -> Tensor:
    return torch.zeros(3, width, dtype=torch.float64, device="cpu")
