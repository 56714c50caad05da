"""One process at a time: held by a file that the system lets go of when its process ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from varshift.errors import MissingExtraError

__all__ = ["locked"]


@contextmanager
def locked(path: Path, *, wait: float = 0) -> Iterator[bool]:
    """Whether the lock was had within `wait` seconds; a process that dies lets go of its own."""
    try:
        from filelock import FileLock, Timeout
    except ImportError as error:
        raise MissingExtraError("filelock", "reproduce", "sharing runs among processes") from error
    lock = FileLock(path)
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
