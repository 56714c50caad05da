"""Moments of one activation, at the price of reading it once: float32's own digits, or all of them.

`torch.var_mean` over (0, 2, 3) costs several times the normalisation itself on a CPU, a float64
copy more, and the statistics of batch norm itself still three times this. Each layout has a cheap
way:

* contiguous rows: what group norm computes of each row on its way, slab by slab, so that the output
  nobody wants stays in cache;
* small tensors: the statistics of batch norm itself, which add up in double in this layout;
* channels last (and plain (N, C)): centred column sums. Batch norm's own statistics add up in
  single precision in this layout and lose three digits at mean 5000.

A channel whose mean dwarfs its deviation is then done again in float64. There batch norm multiplies
large numbers that cancel, and one last digit of `running_var` moves everything downstream.
"""

from __future__ import annotations

import torch
from torch import Tensor

from varshift.theory.moments import Moments, merge_all

__all__ = ["channel_moments", "split_moments"]

_SLAB = 1 << 22  # bytes of a slab: it must still be in cache when it is read again
_SMALL = 1 << 14  # values under which one fused call beats several
_DWARFED = 3.0  # |mean| / deviation up to which single precision is good to 2e-7


def channel_moments(x: Tensor) -> Moments:
    """Count, mean and M2 per channel (dimension 1) of `x`, shape (N, C) or (N, C, …).

    Relative error of the variance below 5e-7 for float32 input, float64's own where the mean is
    more than three deviations.
    """
    return split_moments(x, 1)[0]


def split_moments(x: Tensor, pieces: int) -> list[Moments]:
    """The same for each of `pieces` nearly equal parts of `x` along dimension 0."""
    x = x.detach()
    if x.dtype in (torch.float16, torch.bfloat16):
        x = x.float()
    if _in_rows(x):
        found = _by_rows(x.flatten(2), pieces)
    else:
        found = [_fast(part) for part in x.tensor_split(pieces)]
    if x.dtype == torch.float64:
        return found
    return [_exact(part, at) for part, at in zip(x.tensor_split(pieces), found, strict=True)]


def _exact(x: Tensor, found: Moments) -> Moments:
    """Channels whose mean dwarfs their deviation, once more in float64."""
    poor = found.m2 < found.count * (found.mean / _DWARFED).square()
    if not bool(poor.any()):
        return found
    exact = Moments.of(x[:, poor.to(x.device)])
    mean, m2 = found.mean.clone(), found.m2.clone()
    mean[poor], m2[poor] = exact.mean.cpu(), exact.m2.cpu()
    return Moments(found.count, mean, m2)


def _in_rows(x: Tensor) -> bool:
    plain = x.device.type == "cpu" and x.dtype == torch.float32 and x.ndim > 2
    return plain and x.is_contiguous() and x.numel() >= _SMALL


def _fast(x: Tensor) -> Moments:
    if x.device.type != "cpu" or x.dtype != torch.float32:
        var, mean = torch.var_mean(x, [dim for dim in range(x.ndim) if dim != 1], correction=0)
        return _moments(x, mean, var)
    if x.ndim == 2 or not x.is_contiguous():
        return _by_columns(x.movedim(1, -1).reshape(-1, x.shape[1]))
    mean, var = torch.batch_norm_update_stats(x, None, None, 0.0)
    return _moments(x, mean, var)


def _moments(x: Tensor, mean: Tensor, var: Tensor) -> Moments:
    count = x.numel() // x.shape[1]
    return Moments(count, mean.double().cpu(), var.double().cpu() * count)


def _by_rows(rows: Tensor, pieces: int) -> list[Moments]:
    """With one group per channel, group norm finds mean and 1/σ of each row on its way."""
    channels, length = rows.shape[1:]
    means, inverses = [], []
    for slab in rows.split(_slab(rows)):
        _, mean, inverse = torch.native_group_norm(
            slab, None, None, len(slab), channels, length, channels, 0.0
        )
        means.append(mean)
        inverses.append(inverse)
    row_means = torch.cat(means).double()
    row_vars = torch.cat(inverses).double().pow(-2)
    parts = zip(row_means.tensor_split(pieces), row_vars.tensor_split(pieces), strict=True)
    return [_of_rows(mean, var, length) for mean, var in parts]


def _of_rows(means: Tensor, variances: Tensor, length: int) -> Moments:
    """From the population moments of equally long rows, (rows, C) each."""
    mean = means.mean(0)
    spread = variances + (means - mean).square()
    return Moments(len(means) * length, mean, spread.sum(0) * length)


def _by_columns(values: Tensor) -> Moments:
    parts = []
    size = _slab(values)
    buffer = torch.empty_like(values[:size])
    for slab in values.split(size):
        shift = slab.mean(0)
        centred = torch.sub(slab, shift, out=buffer[: len(slab)])
        rest = centred.sum(0).double()
        m2 = centred.square_().sum(0).double() - rest.square() / len(slab)
        mean = shift.double() + rest / len(slab)
        parts.append(Moments(len(slab), mean, m2.clamp(min=0)))
    return merge_all(parts)


def _slab(values: Tensor) -> int:
    """How many entries of dimension 0 make a slab."""
    return max(1, _SLAB // (values[0].numel() * values.element_size()))
