"""The one iterator that a loader with persistent workers keeps, of torch and of who follows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["ITERATOR", "OWN_ITERATOR", "has_begun", "is_under_way", "shut_down", "yielded"]

ITERATOR = "_iterator"
# By the attribute that holds it, what that is before the first epoch. Of torch 2.4 to 2.15: that of
# a loader with persistent workers. Of torchdata 0.11: from which a `StatefulDataLoader` resumes. Of
# Ray 2.60: the epoch under way of a prepared loader, whatever its workers.
OWN_ITERATOR: Mapping[str, Any] = {
    **{ITERATOR: None, "next_iter_state": None, "_initial_iter_for_state_dict": False},
    **{"dataloader_iter": None, "next_batch": None},
}


def shut_down(iterator: Any) -> None:
    """End its workers, where it has any."""
    getattr(iterator, "_shutdown_workers", lambda: None)()


def is_under_way(value: Any) -> bool:
    """Whether it is an iterator that a loader has made."""
    return hasattr(type(value), "__next__") and "_num_yielded" in getattr(value, "__dict__", ())


def yielded(iterator: Any) -> int:
    """How many batches a loader's iterator has given."""
    return int(iterator._num_yielded)


def has_begun(iterator: Any) -> bool:
    """Whether a loader's iterator has given something already."""
    return yielded(iterator) > 0
