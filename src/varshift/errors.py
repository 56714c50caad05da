"""Every exception varshift raises on purpose, and the exit code the command line gives it.

VarshiftError
├── UsageError (2)         the call itself is wrong: a bad argument, target or option
│   └── MissingExtraError  an optional dependency is not installed
├── WriteError (3)         a file cannot be written: a full disk, no right to
└── LentError (3)          what was lent cannot be worked with
    ├── ModelError         the model raises, has nothing to measure, or cannot be moved
    │   ├── ForwardError   its own forward raised; says in which module and on which batch
    │   └── MemoryBoundError  more samples at once than memory holds; says how many would fit
    ├── DataError          a batch, loader or data set
    └── CheckpointError    a checkpoint file

VarianceShiftWarning is what `Monitor` warns with, a UserWarning.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

__all__ = [
    "CheckpointError",
    "DataError",
    "ForwardError",
    "LentError",
    "MemoryBoundError",
    "MissingExtraError",
    "ModelError",
    "UsageError",
    "VarianceShiftWarning",
    "VarshiftError",
    "WriteError",
    "listed",
    "quoted",
]

_LONGEST = 120  # letters


def listed(names: Iterable[str]) -> str:
    """The first few names for a sentence that says what there is; "none" where nothing is."""
    return ", ".join(map(quoted, islice(names, 8))) or "none"


def quoted(name: object) -> str:
    r"""A name of anybody's for a sentence: in quotes, on one line, and no longer than one reads.

    >>> print(quoted("a\tb"), len(quoted("x" * 1000)))
    'a\tb' 121
    """
    text = repr(name)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 :]}"


class VarshiftError(Exception):
    """Root of everything raised on purpose.

    Attributes:
        exit_code: what the command line returns.

    >>> import varshift as vs
    >>> try:
    ...     vs.theory.tau_of(1.5)
    ... except VarshiftError as error:
    ...     print(type(error).__name__, error.exit_code)
    UsageError 2
    """

    exit_code = 3


class UsageError(VarshiftError, ValueError):
    """The call is wrong: a bad argument, target or option. Also a ValueError.

    >>> import varshift as vs
    >>> vs.theory.tau_of(1.5)
    Traceback (most recent call last):
    varshift.errors.UsageError: drop_p is 1.5; pass a probability in [0, 1)
    """

    exit_code = 2


class MissingExtraError(UsageError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it.

    Also an ImportError.

    >>> print(MissingExtraError("rich", "cli", "table()"))
    table() needs rich, which is not installed: pip install 'varshift[cli]'
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {package}, which is not installed: pip install 'varshift[{extra}]'"
        )


class WriteError(VarshiftError, OSError):
    """A file cannot be written; what was there before is as it was. Also an OSError.

    >>> print(WriteError("page.html", OSError(28, "No space left on device")))
    'page.html' cannot be written (No space left on device); what was there before is as it was
    """

    def __init__(self, place: str, cause: OSError) -> None:
        why = cause.strerror or cause
        self._said = f"{place!r} cannot be written ({why}); what was there before is as it was"
        super().__init__(self._said)
        self.errno = cause.errno
        self._given = (place, cause)

    def __reduce__(self) -> tuple[type[WriteError], tuple[str, OSError]]:
        return type(self), self._given  # an OSError would hand on its message alone

    def __str__(self) -> str:
        return self._said


class LentError(VarshiftError):
    """What the user lent cannot be worked with: the model, the data or a checkpoint.

    >>> issubclass(ModelError, LentError), issubclass(DataError, LentError), LentError.exit_code
    (True, True, 3)
    """


class ModelError(LentError, RuntimeError):
    """The model raises, has nothing to measure, or cannot be run as asked. Also a RuntimeError.

    >>> import torch, varshift as vs
    >>> try:
    ...     vs.measure(torch.nn.Linear(2, 2), [torch.randn(8, 2)])
    ... except ModelError as error:
    ...     print(str(error).split(",")[0])
    the model has no BatchNorm with running statistics
    """


class ForwardError(ModelError):
    """The model's own forward raised; what it raised is the `__cause__`.

    Attributes:
        path: the innermost module whose code was running; "" where that is the model itself.
        batch: index of the batch.

    >>> import torch, varshift as vs
    >>> try:
    ...     vs.inspect(torch.nn.Sequential(torch.nn.Linear(2, 2)), torch.randn(8, 3))
    ... except ForwardError as error:
    ...     print(error.path, error.batch, type(error.__cause__).__name__)
    0 0 RuntimeError
    """

    def __init__(self, message: str, path: str = "", batch: int = 0) -> None:
        super().__init__(message)
        self.path = path
        self.batch = batch


class MemoryBoundError(ModelError):
    """More samples at once than memory holds.

    Attributes:
        fits: how many samples would fit.

    >>> MemoryBoundError("too many samples; pass max_samples=512", fits=512).fits
    512
    """

    def __init__(self, message: str, fits: int) -> None:
        super().__init__(message)
        self.fits = fits


class DataError(LentError, ValueError):
    """A batch, a loader or a data set cannot be used. Also a ValueError.

    >>> import torch, varshift as vs
    >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(2))
    >>> try:
    ...     vs.measure(model, [])
    ... except DataError as error:
    ...     print(error.exit_code)
    3
    """


class CheckpointError(LentError, ValueError):
    """A checkpoint file cannot be read or does not fit the model. Also a ValueError.

    >>> issubclass(CheckpointError, ValueError), CheckpointError.exit_code
    (True, 3)
    """


class VarianceShiftWarning(UserWarning):
    """A network in training shifts by more than was allowed, or its monitor had to give up.

    >>> import warnings
    >>> warnings.simplefilter("ignore", VarianceShiftWarning)  # or "error", to stop the training
    """
