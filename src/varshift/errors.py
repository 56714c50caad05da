"""Every exception varshift raises on purpose, and the exit code the command line gives it.

VarshiftError
├── UsageError (2)         the call itself is wrong: a bad argument, target or option
│   └── MissingExtraError  an optional dependency is not installed
└── LentError (3)          what was lent cannot be worked with
    ├── ModelError         the model raises, has nothing to measure, or cannot be moved
    │   └── MemoryBoundError  more samples at once than memory holds; says how many would fit
    ├── DataError          a batch, loader or data set
    └── CheckpointError    a checkpoint file
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

__all__ = [
    "CheckpointError",
    "DataError",
    "LentError",
    "MemoryBoundError",
    "MissingExtraError",
    "ModelError",
    "UsageError",
    "VarshiftError",
    "listed",
]


def listed(names: Iterable[str]) -> str:
    """The first few names for a sentence that says what there is; "none" where nothing is."""
    return ", ".join(map(repr, islice(names, 8))) or "none"


class VarshiftError(Exception):
    """Root of everything raised on purpose; `exit_code` is what the command line returns."""

    exit_code = 3


class UsageError(VarshiftError, ValueError):
    """The call is wrong: a bad argument, target or option."""

    exit_code = 2


class MissingExtraError(UsageError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {package}, which is not installed: pip install 'varshift[{extra}]'"
        )


class LentError(VarshiftError):
    """What the user lent cannot be worked with."""


class ModelError(LentError, RuntimeError):
    """The model raises, has nothing to measure, or cannot be run as asked."""


class MemoryBoundError(ModelError):
    """More samples at once than memory holds; `fits` is how many would."""

    def __init__(self, message: str, fits: int) -> None:
        super().__init__(message)
        self.fits = fits


class DataError(LentError, ValueError):
    """A batch, a loader or a data set cannot be used."""


class CheckpointError(LentError, ValueError):
    """A checkpoint file cannot be read or does not fit the model."""
