"""What data are read from, as it is now: loaders, samplers, datasets, and what hangs on them.

Samples are many and large, and what counts or shuffles them is small. So large arrays and tensors
are not copied, only looked at again, and a long list is put back in order without a look into its
items.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from torch import Tensor, nn

from varshift._engine.borrow.containers import KeptDict
from varshift._engine.borrow.contents import KeptFile, KeptIterator
from varshift._engine.borrow.objects import Objects, of_others
from varshift._engine.borrow.tensors import KeptTensor, has_values
from varshift._torch.loading import is_under_way, yielded

__all__ = ["Sources"]

_MANY = 1000  # items of a container beyond which they are samples
_LARGE = 16 << 20  # bytes of one array or tensor from which it holds samples
_MOST_BYTES = 64 << 20  # of all that are copied
_LOOKS = 4096  # places at which a large array is looked at again


class Sources(Objects):
    """What was found; `take(value, path)` looks into one more, `restore()` puts all back.

    `leave` are things that somebody else looks after.
    """

    def __init__(self) -> None:
        super().__init__()
        self._given: set[int] = set()
        self._written: list[tuple[Callable[[], bool], Any, str]] = []  # whether they still are

    def leave(self, values: Iterable[Any]) -> None:
        """Do not look into these."""
        self._seen.update(map(id, values))

    def take(self, values: Iterable[tuple[Any, str]]) -> None:
        """Look into these, whoever made them, and all that hangs on them."""
        values = list(values)
        self._given.update(id(value) for value, _ in values)
        super().take(values)

    def restore(self) -> list[str]:
        """Put everything back; gives what could not be, in sentences."""
        lost = [(value, path) for kept, value, path in self._tried if not _restored(kept)]
        gone = {id(value) for value, _ in lost}
        for kept in self._kept:
            # The attributes of what goes on with a stream would be out of step with it.
            if not (isinstance(kept, KeptDict) and _goes_on(kept, gone)):
                _restored(kept)
        written = [(value, path) for same, value, path in self._written if not same()]
        return [
            *(
                f"{path!r} of the data (a {type(value).__name__}) cannot be put back to where it "
                "stood: the batches or samples read here are missing when it is read on; pass a "
                "list of batches, or a callable that returns them"
                for value, path in lost
            ),
            *(
                f"{path!r} of the data (a {type(value).__name__}) was written to as they were read "
                "and is too large to be copied beforehand: it was not put back; pass a list of "
                "batches"
                for value, path in written
            ),
        ]

    def _look(self, value: Any, path: str) -> None:
        try:
            if isinstance(value, Tensor):
                self._tensor(value, path)
            elif isinstance(value, nn.Module):
                self._transform(value, path)
            elif is_under_way(value):
                self._tried.append((_KeptProgress(value), value, path))
            elif isinstance(value, io.IOBase) and (value.closed or value.writable()):
                return  # where a log is written to
            else:
                super()._look(value, path)
        except MemoryError:  # nothing has been read yet
            raise
        except Exception:  # a stranger, who may answer with anything: it is let be
            return

    def _looked_past(self, value: Any) -> bool:
        if id(value) in self._given or type(value).__module__.startswith("torch.utils.data"):
            return False
        return of_others(value)

    def _inside(self, values: tuple[Any, ...]) -> bool:
        return len(values) <= _MANY and super()._inside(values)

    def _array(self, value: np.ndarray[Any, Any], path: str) -> None:
        if not value.flags.writeable or _mapped(value):
            return
        if self._has_room(value.nbytes):
            super()._array(value, path)
            return
        step = max(value.size // _LOOKS, 1)
        before = value.flat[::step].tobytes()
        self._written.append((lambda: value.flat[::step].tobytes() == before, value, path))

    def _tensor(self, value: Tensor, path: str) -> None:
        if isinstance(value, nn.Parameter) or value.requires_grad or not has_values(value):
            return
        if self._has_room(value.numel() * value.element_size()):
            self._kept.append(KeptTensor(value))
            return
        kept = KeptTensor(value, late=True)
        self._written.append((lambda: not kept.lost(), value, path))

    def _has_room(self, size: int) -> bool:
        if size > _LARGE or self._bytes + size > _MOST_BYTES:
            return False
        self._bytes += size
        return True

    def _transform(self, value: nn.Module, path: str) -> None:
        """What augments is a module too. One with weights is a model, which is lent by itself."""
        if next(value.parameters(), None) is None and next(value.buffers(), None) is None:
            self._attributes(value, path)


class _KeptProgress:
    """How many batches an iterator of a loader has given."""

    def __init__(self, value: Any) -> None:
        self._value, self._at = value, yielded(value)

    def restore(self) -> bool:
        """It cannot be wound back."""
        return yielded(self._value) == self._at


def _restored(kept: Any) -> bool:
    """Whether it is as before; what could be anywhere is taken to have moved."""
    try:
        known = not isinstance(kept, (KeptIterator, KeptFile)) or kept.known
        return kept.restore() is not False and known
    except MemoryError:
        raise
    except Exception:
        return False


def _goes_on(kept: KeptDict, gone: set[int]) -> bool:
    """Whether a dict holds now what it held and what could not be put back."""
    held = zip(kept.keys, kept.values, strict=True)
    return any(id(value) in gone and kept.held.get(key) is value for key, value in held)


def _mapped(array: Any) -> bool:
    """Whether it lies in a file, where looking means reading."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False
