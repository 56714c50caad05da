"""How bad a shift is, in one word: the same thresholds for every verb, table and picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

__all__ = ["GRADES", "Grade", "grade_of", "worse", "worst"]

Grade = Literal["none", "mild", "clear", "severe"]

GRADES: Mapping[Grade, float] = MappingProxyType({"mild": 1.1, "clear": 1.25, "severe": 2.0})
"""From which sure severity on a shift has that grade; below the first it has "none"."""

_ERRORS = 2.0  # standard errors that are taken off: what is left is sure


def grade_of(severity: float, se: float = math.nan) -> Grade:
    """The grade of a severity, max(Δ, 1/Δ), less two standard errors where its error is known.

    >>> grade_of(1.3), grade_of(1.3, 0.05), grade_of(4.0), grade_of(float("nan"))
    ('clear', 'mild', 'severe', 'none')
    """
    sure = severity - (_ERRORS * se if se == se else 0.0)
    found: Grade = "none"
    for grade, least in GRADES.items():
        if sure > least:
            found = grade
    return found


def worse(one: Grade, other: Grade) -> Grade:
    """The worse of two grades.

    >>> worse("mild", "none"), worse("clear", "severe")
    ('mild', 'severe')
    """
    return worst((one, other))


def worst(grades: Iterable[Grade]) -> Grade:
    """The worst of several grades; "none" without any.

    >>> worst(["mild", "none"]), worst([])
    ('mild', 'none')
    """
    order = ("none", *GRADES)
    return max(("none", *grades), key=order.index)
