"""The batch variance that a training pass has anyway, read back from what a norm has stored.

A training forward leaves running ← (1 − m)·running + m·s², with s² the batch's unbiased variance
(torch normalises by the biased one and stores this one). So a copy of `running_var` from before and
the one after give s² without a hook, in a compiled model too. After j forwards the same
difference, divided by 1 − (1 − m)^j, is the average of their variances, the later ones weighing
more; with momentum None, the plain average.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from varshift._engine import Handle
from varshift._torch.classes import BatchNorm

__all__ = ["StoredBefore", "readable"]

_LEAST = 1e-3  # momentum below which single precision leaves too few digits in a difference
_ROUGH = 0.02  # of a variance: what rounding may make of it
_KINDS = (torch.float32, torch.float64)


def readable(handle: Handle) -> bool:
    """Whether this norm's batch variance can be read back: a BatchNorm that counts its batches."""
    norm: Any = handle.module
    if not isinstance(norm, BatchNorm) or norm.running_var is not handle.running_var:
        return False
    counted = isinstance(norm.num_batches_tracked, Tensor)
    large = norm.momentum is None or _LEAST <= norm.momentum <= 1
    return counted and large and norm.running_var.dtype in _KINDS


@dataclass(frozen=True, eq=False)
class _Stored:
    """What one norm had stored, and after how many batches. On the norm's own device."""

    norm: Any
    var: Tensor
    count: Tensor


class StoredBefore:
    """What norms have stored now, to be compared with what they will have stored.

    `runs`: by path, how often each norm had been given a batch when that was asked.
    """

    def __init__(self, handles: Iterable[Handle]) -> None:
        self.runs: dict[str, int] = {}
        norms: dict[str, Any] = {handle.path: handle.module for handle in handles}
        self._held = {
            path: _Stored(
                norm, norm.running_var.detach().clone(), norm.num_batches_tracked.detach().clone()
            )
            for path, norm in norms.items()
        }

    def since(self) -> Mapping[str, Tensor]:
        """By path, the (C,) float64 unbiased variance of what each norm was given since.

        NaN where rounding leaves too little of it. A norm that was given nothing (frozen, or not
        reached) is left out.
        """
        counts = [
            int(count)
            for held in self._held.values()
            for count in (held.count, held.norm.num_batches_tracked)
        ]
        pairs = list(zip(self._held.items(), counts[::2], counts[1::2], strict=True))
        self.runs = {path: after - before for (path, _), before, after in pairs}
        return {
            path: _between(held, after, after - before)
            for (path, held), before, after in pairs
            if after > before
        }


def _between(held: _Stored, count: int, batches: int) -> Tensor:
    before = held.var.cpu()
    after = held.norm.running_var.detach().cpu()
    momentum = held.norm.momentum
    # What of the old value is left, and so how much of the new one is news.
    kept = (count - batches) / count if momentum is None else (1 - momentum) ** batches
    var = (after.double() - kept * before.double()) / (1 - kept)
    unit = torch.finfo(before.dtype).eps
    rough = unit * torch.maximum(before, after).double() * batches / (1 - kept)
    return torch.where((var > 0) & (rough <= _ROUGH * var), var, torch.nan)
