"""A file is written beside its place and moved there whole, or the old one stays as it was."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["replacing"]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file to write to inside the block; it takes the place of `path` if the block ends well.

    On any error, an interrupt or a full disk included, the new file is gone and `path` untouched.
    """
    path = path.resolve()  # a link goes on pointing at what it points at
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    fresh = Path(name)
    try:
        yield fresh
        fresh.chmod(_mode(path))
        with fresh.open("rb+") as file:
            os.fsync(file.fileno())  # the new name must not reach the disk before the contents
        os.replace(fresh, path)
    except BaseException:
        with suppress(FileNotFoundError):
            fresh.unlink()
        raise


def _mode(path: Path) -> int:
    """That of the file it replaces, else what any new file gets."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
