"""Progress in a notebook: one line that replaces itself, and is gone from what the notebook saves.

A widget would need the browser to be there; a stream keeps every line that was ever drawn.
"""

from __future__ import annotations

import time
from typing import Any

from varshift._visible import flat

__all__ = ["ProgressLine"]

_WIDE = 30  # of the bar
_EVERY = 0.25  # seconds between two drawings


class ProgressLine:
    """Called as `line(done, total or None)`; closed when done. Seen `after` so many seconds."""

    def __init__(self, label: str = "", after: float = 0.0) -> None:
        self._label = flat(label)
        self._begun = self._since = time.monotonic()
        self._drawn = self._begun + after - _EVERY
        self._handle: Any = None

    def __call__(self, done: float, total: int | None) -> None:
        """Draw `done` of `total`."""
        now = time.monotonic()
        if now >= self._drawn + _EVERY:
            self._drawn = now
            self._show(self._text(done, total, now - self._since))

    def begin(self, label: str) -> None:
        """Another phase: counted and timed anew, since its steps take another time."""
        self._label, self._since = flat(label), time.monotonic()

    def say(self, label: str) -> None:
        """What is being done, in the count that is running."""
        self._label = flat(label)

    def close(self) -> None:
        """Leave nothing."""
        if self._handle is not None:
            self._show("")

    def _text(self, done: float, total: int | None, took: float) -> str:
        if not total or not done:
            return f"{self._label}  {took:.0f} s so far"
        full = round(_WIDE * min(done / total, 1.0))
        left = took * (total - done) / done
        bar = "━" * full + "╌" * (_WIDE - full)
        return f"{self._label} {bar} {done:g}/{total}  {left:.0f} s left"

    def _show(self, text: str) -> None:
        from IPython.display import display

        said = {"text/plain": text}
        if self._handle is None:
            self._handle = display(said, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(said, raw=True)
