"""Ways back in the order in which they were opened, whichever of them is gone first.

What the second of two changes found in a place is what the first had put there. Where the first is
undone first, the second must put back what the first had found, or it would bring it back to life.
"""

from __future__ import annotations

import weakref
from typing import Any

__all__ = ["later_than", "opened"]

_ways: list[weakref.ref[Any]] = []


def opened(way: object) -> None:
    """This way back is later than all that there are."""
    _ways[:] = [held for held in _ways if held() is not None]
    _ways.append(weakref.ref(way))


def later_than(way: object) -> list[Any]:
    """The ways back that were opened after this one and may still be gone."""
    held = [each() for each in _ways]
    at = next((index for index, each in enumerate(held) if each is way), len(held))
    return [each for each in held[at + 1 :] if each is not None]
