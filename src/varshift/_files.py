"""A file is written beside its place and moved there whole, or the old one stays as it was."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import signal
import stat
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from varshift.errors import WriteError, quoted

__all__ = ["discarding", "forbidden", "is_stream", "replacing", "unreadable"]

_SHOWN = 32  # letters of a name that the new file's begins with: names end at 255 bytes
_PATIENCE = 5.0  # seconds in which somebody may begin to read from a pipe
_LINKS = 40  # that may follow each other, as the system has it
_KILLING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_kept_open: dict[tuple[int, int], int] = {}  # pipes that nobody has read from yet
_discarding: list[bool] = []  # whether another process writes the files: see `discarding`
_unfinished: set[Path] = set()  # what a signal that ends the process must not leave behind


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file to write to inside the block; it takes the place of `path` if the block ends well.

    On any error, an interrupt, a full disk or a signal to end, the new file is gone and `path`
    untouched. A link goes on pointing at what it points at. Into a pipe, a device or an open file
    of this process (/dev/stdout) the block's file is written once it is whole.

    Raises WriteError for what the system refuses, inside the block or after it.
    """
    if _discarding:
        with tempfile.TemporaryDirectory() as scratch:
            yield Path(scratch, path.name)
        return
    if is_stream(path):
        folder, name = Path(tempfile.gettempdir()), path.name
    else:
        path = path.resolve()
        folder, name = path.parent, path.name
    # Named before it is made: a signal in between finds what it has to remove.
    suffix = path.suffix if len(path.suffix) <= _SHOWN else ""
    fresh = folder / f".{name[:_SHOWN]}.{secrets.token_hex(8)}{suffix}"
    with _removed_by_signals(fresh):
        try:
            os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            yield fresh
            if is_stream(path):
                _poured(fresh, path)
            else:
                _moved(fresh, path)
        except WriteError:
            raise
        except OSError as error:
            raise WriteError(str(path), error) from error
        finally:
            with suppress(FileNotFoundError):
                fresh.unlink()


@contextmanager
def discarding() -> Iterator[None]:
    """In the block nothing is written: what `replacing` is given goes nowhere.

    For a process that does the same work as another, which writes.
    """
    _discarding.append(True)
    try:
        yield
    finally:
        _discarding.pop()


def is_stream(path: Path) -> bool:
    """Whether this is a pipe, a device or an open file: written into, since it has no contents."""
    if _descriptor(path) is not None:
        return True
    # Not by `Path.exists`, which raises for a name longer than names may be.
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def unreadable(path: str | Path) -> str:
    """Why no file can be read there, as the beginning of a sentence; "" where one can.

    >>> unreadable("nowhere/weights.pt")
    "there is no file 'nowhere/weights.pt'"
    """
    name = quoted(str(path))
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return f"there is no file {name}"
    except (OSError, ValueError) as error:
        return f"{name} cannot be read ({getattr(error, 'strerror', None) or error})"
    if stat.S_ISDIR(mode):
        return f"{name} is a folder"
    if not stat.S_ISREG(mode):
        return f"{name} is a pipe or a device, and is read more than once: copy it to a file"
    return "" if os.access(path, os.R_OK) else f"{name} cannot be read (no right to)"


def forbidden(path: str | Path) -> str:
    """What the system has against a file there, before it is written; "" for nothing."""
    if is_stream(Path(path)):
        return ""
    place = os.path.realpath(path)  # a link goes on pointing where it points
    try:
        os.lstat(place)
    except FileNotFoundError:
        pass
    except OSError as error:
        return error.strerror or str(error)
    folder = os.path.dirname(place)
    return "" if os.access(folder, os.W_OK | os.X_OK) else "no right to write into its folder"


def _moved(fresh: Path, path: Path) -> None:
    fresh.chmod(_mode(path))
    with fresh.open("rb+") as file:
        os.fsync(file.fileno())  # the new name must not reach the disk before the contents
    os.replace(fresh, path)


def _poured(fresh: Path, path: Path) -> None:
    descriptor = _descriptor(path)
    if descriptor is not None:
        for printed in (sys.stdout, sys.stderr):  # what was printed before comes before
            if printed is not None:
                printed.flush()
        # Not opened anew: a file that standard output goes to would be cut to nothing.
        descriptor = os.dup(descriptor)
    elif path.is_fifo():
        descriptor = _reader_of(path)
        if descriptor is None:
            _left_in(path, fresh.read_bytes())
            return
    else:
        descriptor = os.open(path, os.O_WRONLY)
    with fresh.open("rb") as held, os.fdopen(descriptor, "wb") as stream:
        shutil.copyfileobj(held, stream)


def _reader_of(path: Path) -> int | None:
    """A named pipe opened for somebody who reads it; None where nobody comes."""
    if (own := _kept_open.pop(_place(path), None)) is not None:
        os.close(own)  # else it would pass for a reader
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > until:
                return None
            time.sleep(0.02)
        else:
            os.set_blocking(descriptor, True)
            return descriptor


def _left_in(path: Path, contents: bytes) -> None:
    """What a named pipe holds without a reader stays there while it is open: until we end."""
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        written = os.write(descriptor, contents)
    except BlockingIOError:
        written = 0
    if written < len(contents):
        os.close(descriptor)
        raise OSError(errno.ENXIO, "nobody reads from the pipe", str(path))
    _kept_open[_place(path)] = descriptor
    warnings.warn(
        f"nobody reads from the pipe {str(path)!r}: what is in it is lost when this process ends",
        RuntimeWarning,
        stacklevel=2,
    )


def _place(path: Path) -> tuple[int, int]:
    held = path.stat()
    return held.st_dev, held.st_ino


def _descriptor(path: Path) -> int | None:
    """The number of the open file of this process that a path names, as /dev/stdout does."""
    own = re.compile(rf"/(?:dev|proc/(?:self|{os.getpid()}))/fd")
    for _ in range(_LINKS):
        folder = os.path.realpath(path.parent)
        if own.fullmatch(folder):
            return int(path.name) if path.name.isdecimal() else None
        path = Path(folder, path.name)
        if not os.path.islink(path):
            return None
        path = Path(folder, os.readlink(path))
    return None


@contextmanager
def _removed_by_signals(fresh: Path) -> Iterator[None]:
    """In the block a signal that would end the process at once removes the file first.

    Signals that the user's own code answers are left to it, and so are all in other threads than
    the main one, where Python lets nobody answer.
    """
    ours = []
    _unfinished.add(fresh)
    try:
        for number in _KILLING:
            if signal.getsignal(number) is signal.SIG_DFL:
                with suppress(ValueError):
                    signal.signal(number, _end)
                    ours.append(number)
        yield
    finally:
        for number in ours:
            if signal.getsignal(number) is _end:
                signal.signal(number, signal.SIG_DFL)
        _unfinished.discard(fresh)


def _end(number: int, frame: FrameType | None) -> None:
    """Remove what is unfinished, and end as the signal would have."""
    for fresh in tuple(_unfinished):
        with suppress(OSError):
            fresh.unlink()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _mode(path: Path) -> int:
    """That of the file it replaces, else what any new file gets."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
