"""What `progress=` accepts, made into one callable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module

__all__ = ["Progress", "reporter"]

Report = Callable[[int, int | None], None]
Progress = Report | bool | None


@contextmanager
def reporter(progress: Progress) -> Iterator[Report]:
    """A callable `(done, total or None)`; `progress=True` draws a bar (needs the `cli` extra)."""
    if callable(progress):
        yield progress
    elif progress:
        bar = import_module("varshift.report").bar()
        try:
            yield bar
        finally:
            bar.close()
    else:
        yield lambda done, total: None
