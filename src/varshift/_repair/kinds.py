"""What kind of numbers a model predicts: told by the user, or read off outputs and labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from varshift.errors import DataError, UsageError
from varshift.judging import Kind

__all__ = ["are_chances", "guess", "refuse_kind"]

_READ = "kind is 'probabilities' (passed, or read off the first outputs)"
_CLASSES = (
    "without labels the outputs were taken for scores of classes on dimension 1; pass "
    "kind='values' if they are numbers to be predicted"
)
_NUMBERS = (
    "without labels the outputs, one per sample, were taken for numbers to be predicted; pass "
    "kind='logits' if they are scores of a yes or no"
)
_SHARES = (
    "floating labels whose rows sum to 1 were taken for shares of classes (cross entropy); pass "
    "kind='values' if they are numbers to be predicted (squared error)"
)
_YES = (
    "floating labels of 0 and 1 were taken for no and yes (cross entropy); pass kind='values' if "
    "they are numbers to be predicted (squared error)"
)
_SEVERAL = (
    "the labels are floating zeros and ones, several per sample: pass loss=lambda out, batch: "
    'binary_cross_entropy_with_logits(out, batch[1], reduction="none").flatten(1).mean(1) if each '
    "is a yes or no of its own, or kind='values' for squared error"
)


def guess(found: Tensor, told: Sequence[Tensor]) -> tuple[Kind, str | None]:
    """The kind of a first output, `told` being all labels; and what was taken for granted.

    Raises DataError for several floating yes-or-no labels per sample: two losses are as likely.
    """
    classes: Kind = "probabilities" if are_chances(found) else "logits"
    wide = _wide(found)
    if not told:
        if not wide:
            return "values", _NUMBERS
        return classes, _CLASSES if classes == "logits" else None
    if not told[0].is_floating_point():
        return classes, None
    alike = told[0].shape[1:] == found.shape[1:]
    if wide and alike and all(_sums_to_one(labels) for labels in told):
        return classes, _SHARES
    if not _zeros_and_ones(told):
        return "values", None
    if not wide and told[0].numel() == found.numel():
        return classes, _YES
    if alike:
        raise DataError(_SEVERAL)
    return "values", None


def refuse_kind(kind: Kind, found: Tensor) -> None:
    """Raise where an output contradicts its kind."""
    if kind != "probabilities":
        return
    low, high = float(found.min()), float(found.max())
    if low < -1e-3 or high > 1 + 1e-3:
        raise UsageError(
            f"{_READ}, but the outputs range from {low:.3g} to {high:.3g}; pass kind='logits', or "
            "output=lambda out: … where the probabilities are"
        )
    sums = found.double().sum(1) if _wide(found) else found.new_ones(1)
    if bool(((sums - 1).abs() > 0.05).any()):
        raise UsageError(
            f"{_READ}, but those of a sample sum to between "
            f"{float(sums.min()):.3g} and {float(sums.max()):.3g} over dimension 1; pass "
            "kind='values' where they exclude nothing, or output=lambda out: … where classes are"
        )


def are_chances(found: Tensor) -> bool:
    """Whether these are probabilities: rows that sum to 1, or one chance per sample."""
    if _wide(found):
        return _sums_to_one(found)
    return bool(((found >= 0) & (found <= 1)).all())


def _wide(found: Tensor) -> bool:
    return found.ndim > 1 and found.shape[1] > 1


def _sums_to_one(found: Tensor) -> bool:
    coarse = found.element_size() < 4
    sums = found.float().sum(1)
    near = torch.allclose(sums, torch.ones_like(sums), atol=1e-2 if coarse else 1e-3)
    return near and bool((found >= 0).all())


def _zeros_and_ones(told: Sequence[Tensor]) -> bool:
    """Whether there are both, and nothing else."""
    if not all(bool(((labels == 0) | (labels == 1)).all()) for labels in told):
        return False
    return any(bool((labels == 0).any()) for labels in told) and any(
        bool((labels == 1).any()) for labels in told
    )
