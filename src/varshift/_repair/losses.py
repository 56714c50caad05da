"""How far predictions are from labels, sample by sample."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from varshift.errors import DataError, UsageError

__all__ = ["IGNORED", "Losses", "cross_entropy", "own_loss", "per_sample", "squared_error"]

IGNORED = -100  # torch's ignore_index
_OWN = "pass loss=lambda out, batch: … (one loss per sample)"


@dataclass(frozen=True, eq=False)
class Losses:
    """Loss of every sample (N,) float64, and whether it was right (N,), where that can be said.

    Samples whose label is to be ignored (-100) are not among them: `ignored` of them.
    """

    loss: Tensor
    right: Tensor | None = None
    ignored: int = 0


def own_loss(loss: Any, lengths: Collection[int]) -> Tensor:
    """The user's own losses, checked: one per sample, `lengths` being how many that may be."""
    rows = isinstance(loss, Tensor) and loss.ndim == 1 and len(loss) in lengths
    if not rows:
        shape = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        expected = " or ".join(str(length) for length in sorted(lengths))
        raise UsageError(
            f"loss= gave {shape} for a batch of {expected}; it must give one loss per sample, "
            'shape (N,), as with reduction="none"'
        )
    found: Tensor = loss
    return found.detach().double()


def squared_error(prediction: Tensor, labels: Tensor) -> Losses:
    """Mean over each sample's numbers, in float64: a half would overflow at 256²."""
    if prediction.numel() != labels.numel():
        classes = "; if they are classes, pass kind='logits'" if prediction.ndim > 1 else ""
        raise DataError(f"{_misfit(prediction, labels)}; {_OWN}{classes}")
    if not _in_one_order(prediction.shape, labels.shape):
        raise DataError(
            f"{_misfit(prediction, labels)}: as many numbers, in another order; pass output="
            "lambda out: out.permute(…), so that both have the same dimensions in the same order"
        )
    difference = prediction.double() - labels.reshape(prediction.shape).double()
    return Losses(per_sample(difference.square()))


def _in_one_order(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether one shape only takes dimensions of the other together, samples staying first.

    (N, 2, 8) and (N, 16) hold the same numbers in the same order; (N, 2, 8) and (N, 8, 2) do not.
    """
    ends, others = set(accumulate(one, mul)), set(accumulate(other, mul))
    return ends - {1} <= others or others - {1} <= ends


def cross_entropy(prediction: Tensor, labels: Tensor) -> Losses:
    """Against classes, or shares of classes; `prediction` are log probabilities (N, C, …)."""
    if labels.ndim == prediction.ndim and labels.shape[1:2] == (1,):
        labels = labels[:, 0]
    if labels.shape == prediction.shape:
        return _against_shares(prediction, labels)
    if labels.shape != (len(prediction), *prediction.shape[2:]):
        raise DataError(f"{_misfit(prediction, labels)}; {_shape_hint(prediction, labels)}")
    if labels.is_floating_point() and bool((labels != labels.round()).any()):
        return _against_chances(prediction, labels)
    return _against_classes(prediction, labels.long())


def per_sample(values: Tensor) -> Tensor:
    """The mean over all but the samples: (N,)"""
    return values.flatten(1).mean(1) if values.ndim > 1 else values


def _against_classes(prediction: Tensor, labels: Tensor) -> Losses:
    told = labels != IGNORED
    _refuse_range(labels[told], prediction.shape[1])
    loss = functional.nll_loss(prediction, labels, reduction="none", ignore_index=IGNORED)
    right = (prediction.argmax(1) == labels) & told
    count = told.reshape(len(told), -1).double().sum(1)
    kept = count > 0
    ignored = len(kept) - int(kept.sum())
    return Losses(_mean(loss, count)[kept], _mean(right, count)[kept], ignored)


def _mean(values: Tensor, count: Tensor) -> Tensor:
    return values.reshape(len(values), -1).double().sum(1) / count


def _against_chances(prediction: Tensor, labels: Tensor) -> Losses:
    """Labels are chances of a yes."""
    if prediction.shape[1] != 2 or not bool(((labels >= 0) & (labels <= 1)).all()):
        raise DataError(
            f"floating labels from {float(labels.min()):.3g} to {float(labels.max()):.3g} are no "
            f"classes; pass kind='values' if they are numbers to be predicted, or {_OWN[5:]}"
        )
    return _against_shares(prediction, torch.stack([1 - labels, labels], 1))


def _against_shares(prediction: Tensor, labels: Tensor) -> Losses:
    shares = labels.double()
    sums = shares.sum(1)
    if bool((shares < 0).any()) or not torch.allclose(sums, torch.ones_like(sums), atol=1e-2):
        raise DataError(
            f"labels of the same shape as the scores, {tuple(labels.shape)}, must be shares of "
            "classes and sum to 1; pass kind='values' if they are numbers to be predicted, or "
            "where several classes are right at once loss=lambda out, batch: "
            'binary_cross_entropy_with_logits(out, batch[1].float(), reduction="none")'
            ".flatten(1).mean(1)"
        )
    # Where a share is 0 a masked class may have log probability −∞.
    terms = torch.where(shares > 0, -shares * prediction.double(), 0.0)
    right = (prediction.argmax(1) == labels.argmax(1)).double()
    return Losses(per_sample(terms.sum(1)), per_sample(right))


def _refuse_range(told: Tensor, classes: int) -> None:
    if not len(told) or 0 <= int(told.min()) <= int(told.max()) < classes:
        return
    numbers = "; pass kind='values' if they are numbers to be predicted" if classes == 2 else ""
    raise DataError(
        f"labels from {int(told.min())} to {int(told.max())} do not fit {classes} classes. Set "
        f"those that are to be ignored to {IGNORED}, torch's ignore_index, or {_OWN}{numbers}"
    )


def _misfit(prediction: Tensor, labels: Tensor) -> str:
    return (
        f"labels of shape {tuple(labels.shape)} do not fit predictions of shape "
        f"{tuple(prediction.shape)}"
    )


def _shape_hint(prediction: Tensor, labels: Tensor) -> str:
    if prediction.ndim > 2 and labels.shape == prediction.shape[:-1]:
        return (
            "the scores of the classes seem to lie on the last dimension: pass output=lambda out: "
            "….movedim(-1, 1), so that classes are dimension 1"
        )
    return _OWN
