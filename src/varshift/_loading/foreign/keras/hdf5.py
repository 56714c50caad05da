"""HDF5 as Keras writes it, read with care: numbers only, from this one file, of a sane size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from varshift._loading.foreign.layers import Array

__all__ = ["Hdf5"]

_SMALL = 64 << 20
_MOST = 1 << 18  # groups and arrays; links may make few of them look like many
_RATIO = 64  # of what is told to what the file takes up; weights hardly compress


class Hdf5:
    """A file of `size` bytes, opened for reading.

    Args:
        root: of the file.
        size: in bytes; no more than 64 times as much (or 64 MiB) is read in all.
    """

    def __init__(self, root: Any, size: int) -> None:
        self.root = root
        self._left = max(_SMALL, _RATIO * size)
        self._steps = 0

    def inner(self, group: Any, name: str) -> Any:
        """What `group` holds under a name (a path, too); None where there is nothing of its own."""
        self._steps += 1
        if self._steps > _MOST:
            raise ValueError(f"it holds more than {_MOST} groups and arrays: refused")
        found = group
        for part in name.split("/"):
            if not isinstance(found, h5py.Group) or not part:
                return None
            link = found.get(part, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise ValueError(f"{part!r} is a link to another file, {link.filename!r}: refused")
            if not isinstance(link, h5py.HardLink):
                return None  # a soft link may lead round in circles, and Keras writes none
            found = found[part]
        return found

    def group(self, group: Any, name: str) -> Any:
        """The group of that name, or None."""
        found = self.inner(group, name)
        return found if isinstance(found, h5py.Group) else None

    def array(self, group: Any, name: str) -> Array | None:
        """The numbers of that name; None where there are none."""
        held = self.inner(group, name)
        if not isinstance(held, h5py.Dataset) or held.dtype.kind not in "fiub":
            return None
        if held.is_virtual or held.external:
            raise ValueError(f"the values of {name!r} lie in another file: refused")
        self._left -= held.size * held.dtype.itemsize
        if self._left < 0:
            raise ValueError(
                f"{name!r} of shape {held.shape} would be many times what the file holds: refused"
            )
        return np.asarray(held[()])

    def names(self, group: Any, attribute: str) -> list[str]:
        """A list of names among the attributes, which Keras cuts in pieces where it is long."""
        if attribute in group.attrs:
            return [_text(each) for each in np.asarray(group.attrs[attribute]).ravel()]
        found: list[str] = []
        while f"{attribute}{len(found)}" in group.attrs:
            found.append(f"{attribute}{len(found)}")
        return [_text(each) for piece in found for each in np.asarray(group.attrs[piece]).ravel()]

    def text(self, group: Any, attribute: str) -> str | None:
        """A text among the attributes."""
        held = group.attrs.get(attribute)
        return None if held is None else _text(held)

    def walk(self, group: Any, path: str = "") -> Iterator[str]:
        """Paths of all arrays below."""
        for name in group:
            held = self.inner(group, name)
            if isinstance(held, h5py.Group):
                yield from self.walk(held, f"{path}{name}/")
            elif isinstance(held, h5py.Dataset):
                yield f"{path}{name}"


def _text(held: Any) -> str:
    return held.decode("utf-8") if isinstance(held, bytes) else str(held)
