"""Faults: a loader or a forward that raises, and interrupts at a line of the package."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path

import varshift
from faults.features import data

PACKAGE = str(Path(varshift.__file__).parent)
BORROWING = str(Path(PACKAGE, "_engine", "borrow"))


class Disk(RuntimeError):
    """A fault of the loader's or the forward's own."""


class Loader:
    """Gives batches, and at one of them raises."""

    def __init__(self, at=None, error=None):
        self.at, self.error = at, error

    def __iter__(self):
        for index, batch in enumerate(data()):
            if index == self.at:
                raise self.error
            yield batch


@contextmanager
def raising_forward(net, at, error):
    """The forward raises at its `at`-th call."""
    own, calls = net.touch, [0]
    kind = type(net)
    touch = kind.touch

    def wrapped(self, x):
        touch(self, x)
        calls[0] += 1
        if calls[0] == at:
            raise error

    kind.touch = wrapped
    try:
        yield own
    finally:
        kind.touch = touch


class Lines:
    """Counts the lines that run below a folder, and interrupts at some of them.

    `at` are numbers of lines: each counts from the interrupt before it. A trace function that
    raises is taken away by Python; a profile function puts it back at the next call.
    """

    def __init__(self, folder, at=()):
        self.folder, self.left, self.count = folder, list(at), 0

    def __enter__(self):
        sys.settrace(self._call)
        sys.setprofile(self._again)
        return self

    def __exit__(self, *error):
        sys.setprofile(None)
        sys.settrace(None)

    def _ours(self, frame):
        return frame.f_code.co_filename.startswith(self.folder)

    def _call(self, frame, event, arg):
        return self._line if self._ours(frame) else None

    def _line(self, frame, event, arg):
        if event == "line":
            self.count += 1
            if self.left and self.count == self.left[0]:
                self.left.pop(0)
                self.count = 0
                raise KeyboardInterrupt
        return self._line

    def _again(self, frame, event, arg):
        if self.left and event == "call" and sys.gettrace() is None:
            sys.settrace(self._call)
            if self._ours(frame):
                frame.f_trace = self._line
