"""What the package hands down to its lower rooms: how results are drawn, loaded when first used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["drawing", "hand_in"]

_load: Callable[[], Any] | None = None


def hand_in(load: Callable[[], Any]) -> None:
    """From now on `drawing()` is what `load` gives."""
    global _load
    _load = load


def drawing() -> Any:
    """What draws: `line`, `text`, `table`, `frame`, `plot`, `fragment`, `write_html`, `bar`."""
    assert _load is not None
    return _load()
