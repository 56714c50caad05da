"""What is no tensor and no container: generators, arrays, iterators and files, each kept its way.

`restore()` puts the state back and is False where that could not be done.
"""

from __future__ import annotations

import io
import random
import types
import warnings
from collections.abc import Callable
from copyreg import _reconstructor  # type: ignore[attr-defined]
from typing import Any

import numpy as np
import torch

__all__ = ["KeptArray", "KeptFile", "KeptGenerator", "KeptIterator", "reader_of"]


def reader_of(value: Any) -> tuple[Callable[[], Any], Callable[[Any], Any]] | None:
    """How the state of a random generator is read and written; None for anything else."""
    if isinstance(value, torch.Generator):
        return value.get_state, value.set_state
    if isinstance(value, random.Random):
        return value.getstate, value.setstate
    if isinstance(value, np.random.RandomState):
        return lambda: value.get_state(legacy=False), value.set_state
    bits = value.bit_generator if isinstance(value, np.random.Generator) else value
    if isinstance(bits, np.random.BitGenerator):
        return lambda: bits.state, lambda state: setattr(bits, "state", state)
    return None


class KeptGenerator:
    """The state of a random generator that a model holds."""

    def __init__(self, value: Any) -> None:
        found = reader_of(value)
        if found is None:
            raise TypeError(f"{type(value).__name__} is no random generator")
        self._read, self._write = found
        self._state = self._read()

    def restore(self) -> bool:
        """Wind it back; writing costs less than comparing."""
        self._write(self._state)
        return True


class KeptArray:
    """What an array of numpy holds."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self._array = array
        self._shape, self._place = array.shape, array.ctypes.data
        self._writeable = array.flags.writeable
        self._copy = array.copy()

    def restore(self) -> bool:
        """Write back what was written; an array that was resized in place cannot be."""
        array = self._array
        if array.shape != self._shape or array.ctypes.data != self._place:
            return False
        if array.flags.writeable != self._writeable:
            array.flags.writeable = self._writeable
        # By their bytes, NaN and all; those of an array of objects are their identities.
        if array.tobytes() != self._copy.tobytes():
            array[...] = self._copy
        return True


class KeptIterator:
    """How far an iterator has come; `known` is whether that shows."""

    def __init__(self, value: Any) -> None:
        self._value = value
        # What a generator holds stays alive: else something new could have an old identity.
        self._alive = _locals_of(value)
        self._at = _how_far(value)
        self._state = _reduced(value)
        self.known = isinstance(value, types.GeneratorType) or bool(self._state)

    def restore(self) -> bool:
        """Put it back where it can be told where it was, as those of lists and ranges can."""
        if _how_far(self._value) == self._at:
            return True
        if len(self._state) == 3 and hasattr(self._value, "__setstate__"):
            self._value.__setstate__(self._state[2])
        return bool(_how_far(self._value) == self._at)


class KeptFile:
    """The position in an open file, where it has a `known` one; what was written to it stays."""

    def __init__(self, value: io.IOBase) -> None:
        self._value = value
        self._at = _position(value)
        self.known = self._at is not None

    def restore(self) -> bool:
        """Seek back in a file that is only read."""
        if _position(self._value) == self._at:
            return True
        if self._at is None or self._value.closed or self._value.writable():
            return False
        self._value.seek(self._at)
        return True


def _position(value: io.IOBase) -> int | None:
    try:
        return value.tell()
    except (OSError, ValueError, AttributeError):  # a pipe, a closed file, another kind of stream
        return None


def _reduced(value: Any) -> tuple[Any, ...]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python 3.12 warns that this will go for some
            found = value.__reduce__()
    except TypeError:
        return ()
    # What every object says, for want of a way of its own, tells nothing of a place.
    own = isinstance(found, tuple) and found[0] is not _reconstructor
    return found if own else ()


def _locals_of(value: Any) -> list[Any]:
    frame = value.gi_frame if isinstance(value, types.GeneratorType) else None
    return [] if frame is None else list(frame.f_locals.values())


def _how_far(value: Any, deep: int = 4) -> Any:
    """What tells one position of an iterator from another."""
    if isinstance(value, types.GeneratorType):
        frame = value.gi_frame
        return None if frame is None else (frame.f_lasti, *map(id, _locals_of(value)))
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, tuple):
        return tuple(_how_far(item, deep - 1) for item in value) if deep else id(value)
    if hasattr(type(value), "__next__") and deep:
        return tuple(_how_far(item, deep - 1) for item in _reduced(value))
    return id(value)
