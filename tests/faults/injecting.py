"""Faults: loaders, forwards and hooks that raise, and interrupts at lines and calls."""

from __future__ import annotations

import signal
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import varshift
from faults.features import data
from varshift._engine.borrow.loan import Loan
from varshift._engine.edits import write

PACKAGE = str(Path(varshift.__file__).parent)
BORROWING = str(Path(PACKAGE, "_engine", "borrow"))


class Disk(RuntimeError):
    """A fault of the loader's or the forward's own."""


class Ended(BaseException):
    """What a program's own handler of a signal raises, to end in order."""


class Loader:
    """Gives batches, and at one of them raises; knows whether anybody still reads from it.

    With `clinging` it raises when it is closed as well.
    """

    def __init__(self, at=None, error=None, *, clinging=False):
        self.at, self.error, self.clinging, self.open = at, error, clinging, 0

    def __iter__(self):
        self.open += 1
        try:
            for index, batch in enumerate(data()):
                if index == self.at:
                    raise self.error
                yield batch
        except GeneratorExit:
            if self.clinging:
                raise Disk("closing") from None
            raise
        finally:
            self.open -= 1


@contextmanager
def touching(net, at, fault):
    """The forward calls `fault` at its `at`-th call, when it has done what it does."""
    kind, calls = type(net), [0]
    touch = kind.touch

    def wrapped(self, x):
        touch(self, x)
        calls[0] += 1
        if calls[0] == at:
            fault()

    kind.touch = wrapped
    try:
        yield
    finally:
        kind.touch = touch


def raising(error):
    """A function that raises it."""

    def fault(*args):
        raise error

    return fault


def raising_forward(net, at, error):
    """The forward raises at its `at`-th call."""
    return touching(net, at, raising(error))


def warning():
    """What a library says of itself; the user has made errors of warnings."""
    warnings.warn("the forward's own", UserWarning, stacklevel=2)


@contextmanager
def signalled():
    """SIGTERM raises `Ended`, as a program of the user's has it. Gives what sends one."""

    def handler(number, frame):
        raise Ended

    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield lambda: signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def hooked(net, at, error):
    """A user's own hook raises at its `at`-th call: before the noise, or behind the norm."""
    calls = [0]

    def hook(module, *args):
        calls[0] += 1
        if calls[0] == at:
            raise error

    layer = net.net[0]
    (layer.register_forward_pre_hook if at % 2 else layer.register_forward_hook)(hook)


class Lines:
    """Counts the lines that run below a folder, and interrupts at some of them.

    `at` are numbers of lines: each counts from the interrupt before it. A trace function that
    raises is taken away by Python; a profile function puts it back at the next call.
    """

    def __init__(self, folder, at=(), error=KeyboardInterrupt):
        self.folder, self.left, self.count, self.error = folder, list(at), 0, error

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
                raise self.error
        return self._line

    def _again(self, frame, event, arg):
        if self.left and event == "call" and sys.gettrace() is None:
            sys.settrace(self._call)
            if self._ours(frame):
                frame.f_trace = self._line


class Calls:
    """Counts the calls that the package makes, whoever's they are, and interrupts at one of them.

    Inside torch's and Python's own context managers too, before the call or behind it. Not once a
    verb has written what it was asked to: an interrupt finds all of it done.
    """

    def __init__(self, at=0, error=KeyboardInterrupt):
        self.at, self.error, self.count, self.depth = at, error, 0, 0

    def __enter__(self):
        sys.setprofile(self._event)
        return self

    def __exit__(self, *error):
        sys.setprofile(None)

    def _event(self, frame, event, arg):
        if frame.f_code.co_filename.startswith(PACKAGE) and event in ("call", "return"):
            self.depth += 1 if event == "call" else -1
        if self.depth <= 0:
            return
        if event == "return" and frame.f_code is write.__code__:
            sys.setprofile(None)
            return
        self.count += 1
        if self.count == self.at:
            sys.setprofile(None)
            raise self.error


@contextmanager
def heard():
    """Every sentence of a loan on what it could not give back.

    A verb tells them in the notes of its result; an interrupt behind the loan takes that away.
    """
    told, tell = [], Loan.tell

    def telling(loan, notes):
        told.extend(loan.failed)
        tell(loan, notes)

    Loan.tell = telling
    try:
        yield told
    finally:
        Loan.tell = tell
