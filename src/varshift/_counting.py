"""Counts as they stand in a sentence: `1 norm shifts`, `3 norms shift`."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["counted", "counted_names", "plural", "verb"]

_HISSING = ("ch", "sh", "ss", "x")
_HARD = ("epoch",)  # a ch that is spoken as a k
_SINGULAR = {"are": "is", "have": "has", "were": "was", "do": "does"}


def counted(count: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "norm"), counted(3, "batch"), counted(2, "pass"), counted(0, "epoch")
    ('1 norm', '3 batches', '2 passes', '0 epochs')
    """
    return f"{count} {plural(count, noun)}"


def counted_names(names: Sequence[str], noun: str) -> str:
    """How many there are, and the first of them.

    >>> counted_names(["bn1"], "norm"), counted_names(["bn1", "bn2"], "norm")
    ('1 norm (bn1)', '2 norms (first bn1)')
    """
    first = "" if len(names) == 1 else "first "
    return f"{counted(len(names), noun)} ({first}{names[0]})"


def plural(count: int, noun: str) -> str:
    """The noun as it stands behind that number.

    >>> plural(1, "class"), plural(2, "class")
    ('class', 'classes')
    """
    if count == 1:
        return noun
    return f"{noun}es" if noun.endswith(_HISSING) and not noun.endswith(_HARD) else f"{noun}s"


def verb(count: int, several: str) -> str:
    """The verb as it stands behind that number; `several` is its form for more than one.

    >>> verb(1, "shift"), verb(2, "shift"), verb(1, "are"), verb(1, "have")
    ('shifts', 'shift', 'is', 'has')
    """
    return several if count != 1 else _SINGULAR.get(several) or plural(2, several)
