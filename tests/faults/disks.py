"""Disks that are full, and signals at any moment, while a file is written."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import time
import traceback
from contextlib import contextmanager, suppress

__all__ = ["killed", "room_for", "ways"]

_TRIES, _PATIENCE = 5, 10.0  # so often, so many seconds apart
SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")


@contextmanager
def room_for(size):
    """No file may grow beyond so many bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # it would end the process
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@contextmanager
def refusing(name):
    """This call of the system fails: a disk that tells late that it is full, or a lost mount."""
    own = getattr(os, name)

    def refused(*args, **keywords):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    setattr(os, name, refused)
    try:
        yield
    finally:
        setattr(os, name, own)


def ways(size, rng, count):
    """By name, so many ways in which writing a file of this size can fail."""
    for name in ("fsync", "replace", "open"):
        yield f"{name} fails", refusing(name)
    for _ in range(count):
        room = rng.randrange(size)
        yield f"room for {room} of {size} bytes", room_for(room)


def killed(writer, path, rng):
    """Write again and again in a process of its own until a signal comes. How that ended.

    By the signal's name, and the number by which `os.waitstatus_to_exitcode` tells the end.
    """
    name, (reads, writes) = rng.choice(SIGNALS), os.pipe()
    child = os.fork()
    if child == 0:
        _write_for_ever(writer, path, writes)
    os.read(reads, 1)  # until then it answers signals as we do
    os.close(reads)
    os.close(writes)
    time.sleep(rng.uniform(0.0, 0.15))
    for _ in range(_TRIES):  # Python drops an interrupt that strikes in a finaliser
        os.kill(child, getattr(signal, name))
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return name, os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return name, f"none of {_TRIES} signals"


def _write_for_ever(writer, path, ready):
    """In the child: nothing of the parent's may be run or written on the way out."""
    code = 70
    try:
        for each in SIGNALS[1:]:
            signal.signal(getattr(signal, each), signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        rng = random.Random(os.getpid())
        os.write(ready, b".")
        while True:
            writer.write(path, rng.choice((1, 2)))
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        with suppress(OSError):
            traceback.print_exc()
    finally:
        os._exit(code)
