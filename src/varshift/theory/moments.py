"""Streaming moments: count, mean and M2 per channel in float64, merged by Chan's rule."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from varshift._counting import counted
from varshift.errors import UsageError

__all__ = ["Moments", "merge_all"]


@dataclass(frozen=True, eq=False)
class Moments:
    """How many values each channel has seen, their mean, and their scatter about it.

    Merging two parts gives the moments of
    their union, exactly but for rounding, whatever the sizes and the order. [chan1979updating]

    Attributes:
        count: number of values per channel.
        mean: `(C,)` float64.
        m2: `(C,)` float64, the sum of squared deviations from the mean.

    Raises:
        UsageError: a negative count, or tensors that are not `(C,)` float64.

    >>> halves = Moments.of(torch.tensor([[1.0], [2.0]])), Moments.of(torch.tensor([[6.0]]))
    >>> whole = halves[0] + halves[1]
    >>> whole.count, whole.mean.item(), whole.var().item()
    (3, 3.0, 7.0)
    """

    count: int
    mean: Tensor
    m2: Tensor

    def __post_init__(self) -> None:
        if self.count < 0:
            raise UsageError(f"count is {self.count}; pass a number of values, 0 or more")
        for name, value in (("mean", self.mean), ("m2", self.m2)):
            if value.dim() != 1 or value.dtype != torch.float64:
                raise UsageError(
                    f"{name} is {value.dtype} of shape {tuple(value.shape)}; pass float64 of shape "
                    "(C,), or build from data with Moments.of(x)"
                )
        if self.mean.shape != self.m2.shape:
            raise UsageError(
                f"mean has {counted(len(self.mean), 'channel')} and m2 has {len(self.m2)}; pass "
                "one of each per channel"
            )

    @classmethod
    def of(cls, x: Tensor, channel_dim: int = 1) -> Moments:
        """The moments of `x` over every dimension but `channel_dim`.

        Slow and exact: `x` is converted to float64 and read twice, so that a mean a million times
        the deviation costs no digits. Raises UsageError if `x` lacks that dimension or is complex.

        >>> Moments.of(torch.tensor([[1.0, 5.0], [3.0, 5.0]])).var(unbiased=False).tolist()
        [1.0, 0.0]
        """
        if not -x.dim() <= channel_dim < x.dim():
            raise UsageError(
                f"x has shape {tuple(x.shape)} and no dimension {channel_dim}; pass channel_dim= "
                "the dimension that holds the channels"
            )
        if x.is_complex():
            raise UsageError("x is complex; pass its real and imaginary parts as two channels")
        rows = x.detach().movedim(channel_dim, 0).to(torch.float64)
        channels, count = rows.shape[0], math.prod(rows.shape[1:])
        if count == 0:
            return cls.empty(channels, x.device)
        rows = rows.reshape(channels, count)
        mean = rows.mean(1)
        deviation = rows - mean[:, None]
        # The mean is rounded, so the deviations do not quite cancel: what is left over is no
        # scatter. It shows where the mean is a billion times the deviation and more.
        m2 = deviation.square().sum(1) - deviation.sum(1).square() / count
        return cls(count, mean, m2.clamp(min=0))

    @classmethod
    def empty(cls, channels: int, device: torch.device | str | None = None) -> Moments:
        """The moments of no values: neutral when merged.

        >>> (Moments.empty(1) + Moments.of(torch.ones(4, 1))).count
        4
        """
        zeros = torch.zeros(channels, dtype=torch.float64, device=device)
        return cls(0, zeros, zeros.clone())

    def merge(self, other: Moments) -> Moments:
        """The moments of both parts together.

        Chan's rule. [chan1979updating] Raises UsageError unless both have the same
        channels.
        """
        if len(self.mean) != len(other.mean):
            raise UsageError(
                f"cannot merge moments of {counted(len(self.mean), 'channel')} with moments of "
                f"{len(other.mean)}; merge parts of the same site"
            )
        if self.count == 0:
            return other
        if other.count == 0:
            return self
        count = self.count + other.count
        gap = other.mean - self.mean
        share = other.count / count
        return Moments(
            count,
            self.mean + gap * share,
            self.m2 + other.m2 + gap.square() * (self.count * share),
        )

    def __add__(self, other: Moments) -> Moments:
        return self.merge(other)

    def var(self, unbiased: bool = True) -> Tensor:
        """Variance per channel, `(C,)`: M2/(count − 1), or M2/count of the population.

        NaN where the divisor is not positive. Batch norm divides by the population variance and
        stores the unbiased one.
        """
        divisor = self.count - int(unbiased)
        if divisor <= 0:
            return torch.full_like(self.m2, math.nan)
        return self.m2 / divisor

    def second(self) -> Tensor:
        """E[x²] per channel, `(C,)`; NaN where nothing was counted."""
        return self.var(unbiased=False) + self.mean.square()


def merge_all(parts: Iterable[Moments]) -> Moments:
    """Merge neighbours pairwise until one is left.

    A tree, so that rounding grows with the logarithm of the number of parts; the tree depends on
    their order alone, so that equal parts give equal bits. Raises UsageError if there are none.

    >>> merge_all(Moments.of(torch.full((2, 1), float(i))) for i in range(5)).mean.item()
    2.0
    """
    level = list(parts)
    if not level:
        raise UsageError("there are no moments to merge; pass one or more, or Moments.empty(C)")
    while len(level) > 1:
        pairs = [a.merge(b) for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + ([level[-1]] if len(level) % 2 else [])
    return level[0]
