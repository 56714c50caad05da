"""Moments of many activations: what a kernel call or a merge costs is paid for many at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from varshift._engine.record.moments import channel_moments
from varshift.theory.moments import Moments

__all__ = ["is_small", "joined_moments", "pooled"]

_SMALL = 1 << 20  # bytes from which a kernel call is worth its own price
_JOINED = 1 << 21  # bytes that are read again while they are still in cache


def is_small(x: Tensor) -> bool:
    """Whether its moments had better be taken together with those of others."""
    return x.numel() * x.element_size() < _SMALL


def joined_moments(inputs: Sequence[Tensor]) -> list[Moments]:
    """The moments of all of them, in fewer parts."""
    return [channel_moments(part) for part in _joined(inputs)]


def pooled(parts: Sequence[Moments]) -> Moments:
    """The moments of all parts together, merged side by side: Chan's rule for any number of them.

    About the mean of all, so nothing is lost; equal parts in equal order give equal bits.
    """
    if len(parts) == 1:
        return parts[0]
    counts = [part.count for part in parts]
    means = torch.stack([part.mean for part in parts])
    weights = means.new_tensor(counts)[:, None]
    # About the first mean: means far from zero would cost digits.
    mean = means[0] + (weights * (means - means[0])).sum(0) / sum(counts)
    within = torch.stack([part.m2 for part in parts]).sum(0)
    return Moments(sum(counts), mean, within + (weights * (means - mean).square()).sum(0))


def _joined(inputs: Sequence[Tensor]) -> Iterator[Tensor]:
    """Those of one kind side by side along dimension 0, in the order of their first."""
    kinds: dict[object, list[Tensor]] = {}
    for x in inputs:
        kinds.setdefault((x.shape[1:], x.dtype, x.device, x.is_contiguous()), []).append(x)
    for alike in kinds.values():
        for part in _parts(alike):
            yield part[0] if len(part) == 1 else torch.cat(part)


def _parts(inputs: list[Tensor]) -> Iterator[list[Tensor]]:
    part: list[Tensor] = []
    held = 0
    for x in inputs:
        part.append(x)
        held += x.numel() * x.element_size()
        if held >= _JOINED:
            yield part
            part, held = [], 0
    if part:
        yield part
