"""The gate: no repair is kept that was not measured, on samples that took no part in it."""

from __future__ import annotations

import torch
from torch import Tensor

from varshift._repair.losses import Losses
from varshift.results import Score, Trial
from varshift.theory.paired import paired

__all__ = ["joined", "score_of", "tried"]


def score_of(losses: Losses) -> Score:
    """The means of what every sample scored."""
    loss, error = _mean(losses.loss)
    right, right_error = (None, None) if losses.right is None else _mean(losses.right)
    return Score(loss, error, right, right_error, len(losses.loss))


def tried(before: Losses, after: Losses) -> Trial:
    """Compare two ways of predicting the same samples."""
    right = None
    if before.right is not None and after.right is not None:
        right = paired(before.right, after.right)
    return Trial(paired(before.loss, after.loss), right)


def _mean(values: Tensor) -> tuple[float, float]:
    few = len(values) < 2
    return float(values.mean()), float("nan") if few else float(values.std() / len(values) ** 0.5)


def joined(parts: list[Losses]) -> Losses:
    """The losses of several batches as one."""
    right = [part.right for part in parts if part.right is not None]
    return Losses(
        torch.cat([part.loss for part in parts]).cpu(),
        torch.cat(right).cpu() if len(right) == len(parts) else None,
        sum(part.ignored for part in parts),
    )
