"""The one iterator that a loader with persistent workers keeps, of torch and of who follows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["ITERATOR", "OWN_ITERATOR", "has_begun", "shut_down"]

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


def has_begun(iterator: Any) -> bool:
    """Whether a loader's iterator has given something already; True where that does not show."""
    return bool(getattr(iterator, "_num_yielded", True))
