"""Where grades begin and what they are called in a picture, for both renderers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from varshift._draw.pictures.described import Series
from varshift.results.grading import GRADES, Grade

__all__ = ["entries", "zones"]


def entries(series: Sequence[Series]) -> list[tuple[Grade, str]]:
    """The grades that are met, from the mildest on, in words that say where each begins.

    >>> entries([Series("test", "Δ", [0.4, 1.0], grades=["severe", "none"])])
    [('none', 'none'), ('severe', 'severe > 2')]
    """
    met = {grade for one in series for grade in one.grades}
    words: dict[Grade, str] = {"none": "none"}
    words |= {grade: f"{grade} > {least:g}" for grade, least in GRADES.items()}
    return [(grade, said) for grade, said in words.items() if grade in met]


def zones(level: float) -> Iterator[tuple[Grade, float, float]]:
    """From where to where a figure about `level` has a grade: above the level, and below it.

    >>> [zone for zone in zones(1.0) if zone[0] == "severe"]
    [('severe', 2.0, inf), ('severe', 0.0, 0.5)]
    """
    ends = [*list(GRADES.values())[1:], math.inf]
    for (grade, least), end in zip(GRADES.items(), ends, strict=True):
        yield grade, level * least, level * end
        yield grade, level / end, level / least
