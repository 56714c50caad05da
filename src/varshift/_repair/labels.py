"""Where the labels of a batch are looked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from varshift._engine import items_of
from varshift.errors import DataError

__all__ = ["LABELS", "Item", "are_numbers", "in_order", "labels_at", "labels_of", "usual_item"]

LABELS = ("labels", "label", "targets", "target", "y")

Item = str | int  # of a batch: a key, the name of a field, or a position


def labels_of(value: Any) -> Tensor | None:
    """The labels of a batch by the form of the batch alone: its `usual_item`."""
    return labels_at(value, usual_item(value))


def labels_at(value: Any, item: Item | None) -> Tensor | None:
    """That item of a batch; None where it is no tensor of samples.

    Raises DataError where it is numbers, but no tensor: those cannot be cut with the batch.
    """
    found = None if item is None else items_of(value).get(item, getattr(value, str(item), None))
    if are_numbers(found):
        raise DataError(
            f"the labels of a batch are a {type(found).__name__}; pass a tensor, as in "
            "torch.tensor(labels), or labels=False to judge without"
        )
    return found if isinstance(found, Tensor) and found.ndim > 0 else None


def usual_item(value: Any) -> Item | None:
    """The item named "labels", "target", "y" …; else the second, where items are in order."""
    if isinstance(value, Tensor):
        return None
    items = items_of(value)
    ordered = in_order(value)
    # What stands first is the input, whatever it is called.
    named = [name for name in LABELS if items.get(name) is not None]
    named = [name for name in named if not ordered or name != next(iter(items))]
    if named or not ordered:
        return named[0] if named else "y" if getattr(value, "y", None) is not None else None
    return list(items)[1] if len(items) > 1 else None


def in_order(value: Any) -> bool:
    """Whether items stand in an order: in a tuple, a list or a dataclass, not in a dict."""
    made = hasattr(value, "__dataclass_fields__") or hasattr(type(value), "__attrs_attrs__")
    return not isinstance(value, Mapping) and (isinstance(value, (tuple, list)) or made)


def are_numbers(found: Any) -> bool:
    """Whether these are numbers in a list or an array, one for each sample."""
    if isinstance(found, np.ndarray):
        return found.ndim > 0 and found.dtype.kind in "biuf"
    rows = isinstance(found, (list, tuple)) and len(found) > 0
    return rows and all(isinstance(item, (bool, int, float, np.number)) for item in found)
