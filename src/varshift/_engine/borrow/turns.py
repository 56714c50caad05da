"""Threads take turns: what one verb sets in the process must not reach into another's figures.

Random generators, default dtype, backend flags, warning filters and the compiler's stance are one
for the whole process, so the verbs of a second thread wait until those of the first are done. On
a model that is in use they do not wait: it would come back in another state than it was meant in.

Entries of dicts, set and removed in one step each, and no lock: an interrupt between two lines
leaves nothing that the next try does not find.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable

from torch import nn

from varshift.errors import ModelError

__all__ = ["Turn"]

_IN_TURN: dict[str, int] = {}  # "thread": the one whose verbs are running
_IN_USE: dict[int, Turn] = {}  # by id of each module
_WAITS = 0.002  # seconds between two looks


class Turn:
    """One loan's claim on its modules and on the process. `end()` may be called again."""

    def __init__(self, enclosing: bool) -> None:
        self._enclosing = enclosing
        self._thread = threading.get_ident()

    def begin(self, modules: Iterable[nn.Module]) -> None:
        """Claim the modules, then wait for the process."""
        for module in modules:
            if _IN_USE.setdefault(id(module), self)._thread != self._thread:
                raise ModelError(
                    "the model is being used by another thread: a verb there has borrowed it, and "
                    "what it changes for the time would be in these figures; wait for it, or pass "
                    "a copy (copy.deepcopy(model))"
                )
        while _IN_TURN.setdefault("thread", self._thread) != self._thread:
            time.sleep(_WAITS)

    def end(self) -> None:
        """Let the next one in; a verb inside another leaves that to the outer one."""
        for key in [key for key, turn in tuple(_IN_USE.items()) if turn is self]:
            _IN_USE.pop(key, None)
        if not self._enclosing and _IN_TURN.get("thread") == self._thread:
            _IN_TURN.pop("thread", None)


def _forget() -> None:
    """In a forked process the other threads are gone, and will never end their turns."""
    _IN_TURN.clear()
    _IN_USE.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
