"""What a user's own step logs is of training, not of what we run it for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["silent"]

_ABSENT = object()


@contextmanager
def silent(loggers: Iterable[Any], names: Iterable[str]) -> Iterator[None]:
    """In the block methods of these names do nothing where they are called on these objects.

    Something in the objects' own dict hides the methods of their classes, so no class is touched.

    >>> class Trainer:
    ...     def log(self, values):
    ...         print(values)
    >>> trainer = Trainer()
    >>> with silent([trainer], ["log"]):
    ...     trainer.log("while calibrating")
    >>> trainer.log("in training")
    in training
    """
    places = [(vars(each), name) for each in loggers for name in names if hasattr(each, name)]
    before = [own.get(name, _ABSENT) for own, name in places]
    try:
        for own, name in places:
            own[name] = _nothing
        yield
    finally:
        for (own, name), value in zip(places, before, strict=True):
            if value is _ABSENT:
                own.pop(name, None)
            else:
                own[name] = value


def _nothing(*args: Any, **kwargs: Any) -> None:
    """In place of a method that logs."""
