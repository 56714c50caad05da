"""The line of the user's code that was running: the innermost frame outside torch."""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
from pathlib import Path
from types import FrameType

import torch

from varshift.results import Line

__all__ = ["calling_line", "calling_operation", "is_library"]

_TORCH = os.path.dirname(torch.__file__) + os.sep
_OURS = os.path.join(str(Path(__file__).resolve().parents[2]), "")
_FUNCTIONAL = os.path.join(_TORCH, "nn", "functional.py")
_DEMO = os.path.join(_OURS, "_cli", "demo") + os.sep
_INSTALLED = {"site-packages", "dist-packages"}
_STANDARD = tuple(Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "platstdlib"))
_CALL = os.path.join(_OURS, "_engine", "batches.py")


def calling_line() -> Line | None:
    """Where the user's code asked for the operation; None if the model is torch all the way up."""
    frame: FrameType | None = sys._getframe(1)
    # Our own taps stand between torch's frames too.
    while frame is not None and _between(frame.f_code.co_filename):
        if frame.f_code.co_filename == _CALL:
            return None
        frame = frame.f_back
    if frame is None:
        return None
    file, number = frame.f_code.co_filename, frame.f_lineno
    return Line(file, number, frame.f_code.co_name, linecache.getline(file, number).strip())


def is_library(file: str) -> bool:
    """Whether a file is an installed package's, or Python's own.

    >>> is_library(os.__file__), is_library("net.py")
    (True, False)
    """
    path = Path(file).resolve()
    return not _INSTALLED.isdisjoint(path.parts) or any(map(path.is_relative_to, _STANDARD))


def calling_operation() -> str | None:
    """Name of the `torch.nn.functional` function that is running, such as "alpha_dropout"."""
    frame = _outside(sys._getframe(1), _OURS)
    while frame is not None and frame.f_code.co_filename.startswith(_TORCH):
        if frame.f_code.co_filename == _FUNCTIONAL:
            return frame.f_code.co_name
        frame = frame.f_back
    return None


def _between(file: str) -> bool:
    """Whether the file is torch's or ours; the demo's network stands for a user's."""
    return file.startswith((_TORCH, _OURS)) and not file.startswith(_DEMO)


def _outside(frame: FrameType | None, folder: str) -> FrameType | None:
    while frame is not None and frame.f_code.co_filename.startswith(folder):
        if frame.f_code.co_filename == _CALL:
            return frame
        frame = frame.f_back
    return frame
