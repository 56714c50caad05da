"""Blocks that an interrupt has left half entered, ended before what they hold is put back.

A context manager made of a generator is left suspended by an interrupt that strikes between its
`__exit__` and the generator, or behind its first half. The traceback keeps it, and its second half
runs when the traceback is thrown away: torch would push a mode onto its stack again, long after
the stack was put back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType, GeneratorType

__all__ = ["close_suspended"]


def close_suspended(error: BaseException) -> None:
    """Run the second halves now, the innermost block's first. May be called again."""
    for frame in reversed(list(_frames(error))):
        if frame.f_code.co_filename != contextlib.__file__:
            continue
        block = getattr(frame.f_locals.get("self"), "gen", None)
        if isinstance(block, GeneratorType) and not block.gi_running:
            with suppress(Exception):  # what it raises there, Python would have ignored too
                block.close()


def _frames(error: BaseException | None) -> Iterator[FrameType]:
    """From the outermost frame to the innermost, of what it came of as well.

    A profiler's function that raises at a return stands in the traceback, what has returned to it
    does not, but is kept by it all the same.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_back is not None:
                yield trace.tb_frame.f_back
            yield trace.tb_frame
            trace = trace.tb_next
        error = error.__cause__ or error.__context__
