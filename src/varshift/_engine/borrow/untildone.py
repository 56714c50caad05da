"""Giving back that an interrupt cannot break off."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from varshift._engine.borrow.suspended import close_suspended

__all__ = ["UntilDone"]

_TRIES = 100  # nobody interrupts so often, and memory that is short for so long stays short


class UntilDone(ABC):
    """A block to be entered several times over: `with it, it, it: ...`.

    Each level gives back whatever is not yet given back. So an interrupt may strike at any line of
    the giving back, even at the first, where no `try` has begun; the level outside starts again,
    and the interrupt goes on when all is done. `failed` says then what could not be given back.
    """

    def __init__(self) -> None:
        self.failed: list[str] = []
        self._done = False

    @abstractmethod
    def _give_back(self) -> None:
        """All of it, from the start, every step of which may have been done before; then `_done`.

        What it raises is taken for an interrupt: it is called again.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        interrupt: BaseException | None = None
        for _ in range(_TRIES):
            if self._done:
                break
            try:
                if error is not None:
                    close_suspended(error)
                self._give_back()
            except BaseException as raised:  # an interrupt: what else is raised is a note by now
                interrupt = raised
        if not self._done:
            self.failed.append(f"giving back was broken off {_TRIES} times")
        if interrupt is not None:
            raise interrupt
