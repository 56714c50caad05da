"""How bad a shift is, in four words: the same ones wherever a severity is judged or coloured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

__all__ = ["GRADES", "Grade", "at_least", "grade_of", "worst_grade"]

Grade = Literal["none", "mild", "clear", "severe"]

GRADES: Mapping[Grade, float] = MappingProxyType({"mild": 1.1, "clear": 1.25, "severe": 2.0})
"""By grade above "none", the severity, max(Δ, 1/Δ) less two standard errors, that it exceeds.

Mild: a variance off by more than a tenth, which `check` allows by default. Clear: by more than a
quarter. Severe: by more than a factor of two, which dropout 0.5 makes of centred inputs.
"""

_ORDER: tuple[Grade, ...] = ("none", *GRADES)


def grade_of(severity: float, se: float = math.nan) -> Grade:
    """The grade of a severity, two standard errors taken off.

    By `GRADES`: mild above 1.1, clear above 1.25, severe above 2. An error that is not known takes
    nothing off: single numbers have none. NaN, as of a norm without live
    channels, has the grade "none".

    >>> grade_of(1.3), grade_of(1.3, se=0.04), grade_of(2.5, se=0.1), grade_of(float("nan"))
    ('clear', 'mild', 'severe', 'none')
    """
    sure = severity - 2 * se if math.isfinite(se) else severity
    found: Grade = "none"
    for grade, bound in GRADES.items():
        if sure > bound:
            found = grade
    return found


def at_least(grade: Grade, bound: Grade) -> bool:
    """Whether a grade is as bad as another one, or worse.

    >>> at_least("severe", "clear"), at_least("mild", "clear")
    (True, False)
    """
    return _ORDER.index(grade) >= _ORDER.index(bound)


def worst_grade(*grades: Grade) -> Grade:
    """The worst of several.

    >>> worst_grade("mild", "severe", "none")
    'severe'
    """
    return max(grades, key=_ORDER.index, default="none")
