"""Where the labels of a batch are looked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from varshift.errors import DataError

__all__ = ["LABELS", "labels_of"]

LABELS = ("labels", "label", "targets", "target", "y")


def labels_of(value: Any) -> Tensor | None:
    """The labels of a batch: the second item of a tuple, or a dict's "labels", "target", "y" …

    Raises DataError where they are numbers, but no tensor: those cannot be cut with the batch.
    """
    if isinstance(value, Mapping):
        found = next((value[name] for name in LABELS if name in value), None)
    elif isinstance(value, (tuple, list)) and len(value) > 1:
        found = value[1]
    else:
        found = getattr(value, "y", None)
    if _numbers(found):
        raise DataError(
            f"the labels of a batch are a {type(found).__name__}; pass a tensor, as in "
            "torch.tensor(labels), or labels=False to judge without"
        )
    return found if isinstance(found, Tensor) and found.ndim > 0 else None


def _numbers(found: Any) -> bool:
    if isinstance(found, np.ndarray):
        return found.ndim > 0 and found.dtype.kind in "biuf"
    rows = isinstance(found, (list, tuple)) and len(found) > 0
    return rows and all(isinstance(item, (bool, int, float, np.number)) for item in found)
