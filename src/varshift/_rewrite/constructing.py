"""Where modules are constructed: noted while a factory runs, for a patch to change the call."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from types import FrameType
from typing import Any

from torch import nn

__all__ = ["Built", "Constructions", "constructions"]


@dataclass(frozen=True)
class Built:
    """The call that constructed a module: lines count from 1, columns in bytes of UTF-8."""

    file: str
    line: int
    last: int
    start: int
    end: int
    function: str


class Constructions:
    """The calls that constructed modules, by module."""

    def __init__(self) -> None:
        # With the module itself, lest its id be given to another.
        self._held: dict[int, tuple[nn.Module, Built]] = {}

    def of(self, module: nn.Module) -> Built | None:
        """The call that constructed it; None for copies, and for what was there before."""
        held = self._held.get(id(module))
        return None if held is None else held[1]

    def note(self, module: nn.Module, frame: FrameType | None) -> None:
        """Record the first frame outside of the module's own constructors."""
        while frame is not None and _constructs(frame, module):
            frame = frame.f_back
        built = None if frame is None else _call(frame)
        if built is not None:
            self._held[id(module)] = (module, built)


@contextmanager
def constructions() -> Iterator[Constructions]:
    """Note every module that is constructed inside the block, in whatever thread.

    Example:
        >>> with constructions() as built:
        ...     drop = nn.Dropout(0.5)
        >>> built.of(drop).line, built.of(nn.Dropout(0.5))
        (2, None)
    """
    found, original = Constructions(), nn.Module.__init__

    def noting(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        found.note(self, sys._getframe(1))
        original(self, *args, **kwargs)

    nn.Module.__init__ = noting  # type: ignore[method-assign]
    try:
        yield found
    finally:
        nn.Module.__init__ = original  # type: ignore[method-assign]


def _constructs(frame: FrameType, module: nn.Module) -> bool:
    code = frame.f_code
    first = code.co_varnames[0] if code.co_argcount else None
    return first is not None and frame.f_locals.get(first) is module


def _call(frame: FrameType) -> Built | None:
    code = frame.f_code
    line, last, start, end = next(islice(code.co_positions(), frame.f_lasti // 2, None))
    if line is None or last is None or start is None or end is None:
        return None  # python -X no_debug_ranges
    return Built(code.co_filename, line, last, start, end, code.co_name)
