"""What every record with a Δ per channel can say of its channels."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from varshift._base import Record
from varshift.theory.spread import middle, quantiles

__all__ = ["PerChannel"]


class PerChannel(Record):
    """Base of records whose `delta` has Δ by channel, (C,), NaN where dead."""

    delta: Tensor

    @cached_property
    def spread(self) -> tuple[float, ...]:
        """Δ over the channels, at `varshift.theory.spread.QUANTILES`."""
        return quantiles(self.delta)

    @cached_property
    def middle(self) -> int | None:
        """The channel whose Δ is the median; None where none is known."""
        return middle(self.delta)
