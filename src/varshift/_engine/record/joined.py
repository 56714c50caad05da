"""Moments of many small activations: joined first, since a kernel call costs more than they do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from varshift._engine.record.moments import channel_moments
from varshift.theory.moments import Moments

__all__ = ["is_small", "joined_moments"]

_SMALL = 1 << 18  # bytes from which a kernel call is worth its own price
_JOINED = 1 << 20  # bytes that are read again while they are still in cache


def is_small(x: Tensor) -> bool:
    """Whether its moments had better be taken together with those of others."""
    return x.numel() * x.element_size() < _SMALL


def joined_moments(inputs: Sequence[Tensor]) -> list[Moments]:
    """The moments of all of them, in fewer parts."""
    return [channel_moments(part) for part in _joined(inputs)]


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
