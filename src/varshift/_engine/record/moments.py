"""Moments of one activation, at little more than the price of reading it.

`torch.var_mean` over (0, 2, 3) costs several times the normalisation itself on a CPU, and a float64
copy more. Batch norm's own statistics are fast over columns, which they centre before they square,
but add up whole columns in single precision and lose three digits over 65,536 rows. So:

* columns, which is (N, C) and channels last: many rows are laid side by side as one wide row, so
  that columns are short, and merged in double;
* contiguous images: the same, for each position of each channel is a column of samples;
* contiguous images of few samples: what group norm computes of each row on its way.

Sums and Euclidean norms of short stretches of each row are faster still, and were tried: a tenth to
a third of the channels of real networks have means too large for a sum of squares, and reading
those again, centred, cost what was won. `python -m benchmarks kernels` times what is here.

Both lose digits as the mean grows against the deviation, group norm's rows from three deviations
on and columns from four: such channels are read once more, centred about the mean that is now
known. Channels past sixteen deviations are done in float64. There batch norm multiplies large
numbers that cancel, and one last digit of `running_var` moves everything downstream.

On an accelerator the values are never looked at, for that would wait for the device: torch's own
`var_mean`, which follows the mean as it goes, and results that stay on the device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from varshift.theory.moments import Moments

__all__ = ["channel_moments", "split_moments"]

_SLAB = 1 << 22  # bytes of a slab, whose normalised copy nobody wants: it must stay in cache
_COLUMN = 32  # values of a column added up in single precision, or up to twice as many
_WIDE = 1 << 15  # values of a wide row: sixty of them must stay in cache
_SAMPLES = 16  # rows under which columns leave too much to be merged
_TOGETHER = 1 << 18  # values up to which calls cost more than a copy
_DWARFED = 16.0  # |mean| / deviation from which every digit is wanted
_TINY = 1e-30  # mean squares below this have lost digits to single precision's range


def channel_moments(x: Tensor) -> Moments:
    """Count, mean and M2 per channel (dimension 1) of `x`, shape (N, C) or (N, C, …).

    On a CPU the relative error of the variance is below 5e-7 for float32 input, and float64's own
    where the mean is more than sixteen deviations. Mean and M2 lie on the device of `x`.
    """
    return split_moments(x, 1)[0]


def split_moments(x: Tensor, pieces: int) -> list[Moments]:
    """The same for each of `pieces` nearly equal parts of `x` along dimension 0.

    The parts are those of `torch.tensor_split`; one kernel call serves them all where the layout
    allows. An error of a part is small against the variance of the whole.
    """
    x = x.detach()
    if x.dtype in (torch.float16, torch.bfloat16):
        x = x.float()
    if not x.numel() or len(x) < pieces:
        return [Moments.of(part) for part in x.tensor_split(pieces)]
    if x.device.type != "cpu" or x.dtype != torch.float32:
        return _parted(x, _counts(x, pieces), _welford).listed()
    found, bound = _single(x, pieces)
    return _redone(x, found, bound).listed()


@dataclass(frozen=True)
class _Parts:
    """Moments of P parts: counts, means and M2s (P, C)."""

    counts: list[int]
    means: Tensor
    m2s: Tensor

    def listed(self) -> list[Moments]:
        parts = zip(self.counts, self.means.unbind(), self.m2s.unbind(), strict=True)
        return [Moments(*part) for part in parts]

    def whole(self) -> tuple[int, Tensor, Tensor]:
        """Count, mean and M2 of all parts together: (C,)."""
        if len(self.counts) == 1:
            return self.counts[0], self.means[0], self.m2s[0]
        counts = self.means.new_tensor(self.counts)[:, None]
        count = sum(self.counts)
        mean = (counts * self.means).sum(0) / count
        return count, mean, (self.m2s + counts * (self.means - mean).square()).sum(0)


def _parted(x: Tensor, counts: list[int], way: Callable[[Tensor], tuple[Tensor, Tensor]]) -> _Parts:
    """What `way` finds of parts of equal length, (P, n, …) to mean and M2 (P, C)."""
    found = [way(block) for block in _blocks(x, len(counts))]
    means, m2s = (torch.cat(each) for each in zip(*found, strict=True))
    return _Parts(counts, means, m2s.clamp_(min=0))


def _blocks(x: Tensor, pieces: int) -> list[Tensor]:
    """The parts of `torch.tensor_split`, stacked by length, of which there are one or two."""
    size, longer = divmod(len(x), pieces)
    cut = longer * (size + 1)
    head = [x[:cut].unflatten(0, (longer, size + 1))] if longer else []
    return [*head, x[cut:].unflatten(0, (pieces - longer, size))]


def _counts(x: Tensor, pieces: int) -> list[int]:
    size, longer = divmod(len(x), pieces)
    positions = math.prod(x.shape[2:])
    return [(size + (part < longer)) * positions for part in range(pieces)]


# Second looks ------------------------------------------------------------------------------


def _redone(x: Tensor, found: _Parts, bound: float) -> _Parts:
    """Channels whose |mean| / deviation passes `bound`, once more and better."""
    count, mean, m2 = found.whole()
    room = torch.addcmul(m2 * (bound**2 / count), mean, mean, value=-1)
    if float(room.min()) > _TINY:
        return found
    spread = m2 / count
    second = spread + mean.square()
    exact = ~(mean.square() <= _DWARFED**2 * spread)  # what is not finite, too
    exact = (exact | (second < _TINY)) & (second != 0)
    near = (mean.square() > bound**2 * spread) & ~exact
    means, m2s = found.means.clone(), found.m2s.clone()
    for way, chosen in ((_centred, near), (_exactly, exact)):
        channels = chosen.nonzero().flatten()
        if len(channels):
            again = way(x.index_select(1, channels), mean[channels], len(found.counts))
            means[:, channels], m2s[:, channels] = again.means, again.m2s
    return _Parts(found.counts, means, m2s)


def _centred(x: Tensor, mean: Tensor, pieces: int) -> _Parts:
    centre = mean.float()
    x.sub_(centre.view(-1, *[1] * (x.ndim - 2)))  # a copy by now: channels were selected
    found, _ = _single(x, pieces)
    return _Parts(found.counts, found.means + centre.double(), found.m2s)


def _exactly(x: Tensor, mean: Tensor, pieces: int) -> _Parts:
    parts = [Moments.of(part) for part in x.tensor_split(pieces)]
    return _Parts(
        [part.count for part in parts],
        torch.stack([part.mean for part in parts]),
        torch.stack([part.m2 for part in parts]),
    )


# The ways ----------------------------------------------------------------------------------


def _single(x: Tensor, pieces: int) -> tuple[_Parts, float]:
    """In single precision, and |mean| / deviation up to which that is exact enough."""
    if x.ndim > 2 and x.is_contiguous() and len(x) < _SAMPLES * pieces:
        return _rows(x, pieces), 3.0
    return _columns(x, pieces), 4.0


def _welford(block: Tensor) -> tuple[Tensor, Tensor]:
    axes = [1, *range(3, block.ndim)]
    var, mean = torch.var_mean(block, axes, correction=0)
    if block.device.type == "mps":  # has no float64
        var, mean = var.cpu(), mean.cpu()
    return mean.double(), var.double() * (block[0, :, 0].numel())


def _rows(x: Tensor, pieces: int) -> _Parts:
    """With one group per channel, group norm finds mean and 1/σ of each row on its way."""
    rows = x.flatten(2)
    channels, length = rows.shape[1:]
    means, inverses = [], []
    for slab in rows.split(max(1, _SLAB // (4 * channels * length))):
        _, mean, inverse = torch.native_group_norm(
            slab, None, None, len(slab), channels, length, channels, 0.0
        )
        means.append(mean)
        inverses.append(inverse)
    both = torch.stack([torch.cat(means), torch.cat(inverses)], 1).double()  # (N, 2, C)
    return _parted(both, _counts(x, pieces), lambda block: _of_rows(block, length))


def _of_rows(block: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """From mean and 1/σ of equally long rows, (P, n, 2, C)."""
    means, inverses = block.unbind(2)
    mean = means.mean(1)
    spread = inverses.pow(-2) + (means - mean[:, None]).square()
    return mean, spread.sum(1) * length


def _columns(x: Tensor, pieces: int) -> _Parts:
    """Each position of each channel is a column of samples; where channels come last, of positions.

    Batch norm's own statistics read columns fast, and centre what they square.
    """
    counts = _counts(x, pieces)
    if x.is_contiguous():
        values = x.reshape(len(x), 1, x.shape[1], -1)
    else:
        values = x.movedim(1, -1).reshape(len(x), -1, x.shape[1], 1)
    # (N, rows of a sample, C, columns of a channel)
    if pieces == 1:  # nothing to cut and to put together again: half the calls
        mean, m2 = _wide(values.flatten(0, 1))
        return _Parts(counts, mean[None], m2[None])
    if x.numel() <= _TOGETHER:
        return _parted(values, counts, _together)
    return _parted(values, counts, lambda blocks: _stacked(map(_wide, blocks.flatten(1, 2))))


def _stacked(found: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    means, m2s = zip(*found, strict=True)
    return torch.stack(means), torch.stack(m2s)


def _together(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Centred sums of all parts at once, which copies them."""
    axes = (1, 2, 4)
    count = blocks[0, :, :, 0].numel()
    centre = blocks.mean(axes, keepdim=True)
    centred = blocks - centre
    rest = centred.sum(axes).double()
    m2 = centred.square_().sum(axes).double() - rest.square() / count
    return centre[:, 0, 0, :, 0].double() + rest / count, m2


def _wide(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and M2 of (rows, C, columns), several rows laid end to end as one wide row."""
    rows, channels, columns = values.shape
    lanes = _lanes(rows, channels * columns)
    length = min(rows // lanes, 2 * _COLUMN)
    even = rows - rows % (lanes * length)
    slabs = values[:even].reshape(-1, length, lanes * channels * columns)
    found = [torch.batch_norm_update_stats(slab, None, None, 0.0) for slab in slabs]
    means, variances = (
        (each[0] if len(each) == 1 else torch.cat(each)).view(-1, channels, columns)
        for each in zip(*found, strict=True)
    )
    means = means.double()
    parts = len(means) * columns
    total = means.sum((0, 2))
    spread = variances.sum((0, 2)).double() + means.square().sum((0, 2)) - total.square() / parts
    moments = total / parts, spread.clamp_(min=0) * length
    return moments if even == rows else _both(moments, even * columns, values[even:])


def _lanes(rows: int, width: int) -> int:
    """How many rows make a wide one, so that columns are short and few rows are left over."""
    least = max(1, min(rows // _COLUMN, _WIDE // width))
    return next((lanes for lanes in range(least, 2 * least) if rows % lanes == 0), least)


def _both(found: tuple[Tensor, Tensor], count: int, rest: Tensor) -> tuple[Tensor, Tensor]:
    whole = Moments(count, *found) + Moments(rest[:, 0].numel(), *_wide(rest))
    return whole.mean, whole.m2
