"""What a benchmark finds: lines of tables, whose figures are text, or spreads over rounds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["Line", "Spread", "aimed", "asked", "seconds"]


@dataclass(frozen=True)
class Spread:
    """The median of a figure over rounds, the least and the most."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Of at least one value."""
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[0], ordered[-1])

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}–{self.high:.2f})"


@dataclass(frozen=True)
class Line:
    """One line of a table.

    Attributes:
        table: the table's title; empty where a section has one table.
        name: what the figures are of; with `table` it tells lines of a section apart.
        cells: by heading, a text or a spread.
        aim: what was to be reached, as text; empty where nothing was set.
        missed: whether it was not reached.
    """

    table: str
    name: str
    cells: dict[str, str | Spread]
    aim: str = ""
    missed: bool = False

    @classmethod
    def read(cls, found: dict[str, Any]) -> Line:
        """From what `dataclasses.asdict` made of one."""
        cells = {
            heading: Spread(**cell) if isinstance(cell, dict) else cell
            for heading, cell in found["cells"].items()
        }
        return cls(**{**found, "cells": cells})


def aimed(figure: float, most: float | None, form: str = "g") -> dict[str, Any]:
    """`aim` and `missed` of a line whose figure should be `most` or less."""
    if most is None:
        return {}
    return {"aim": f"≤ {most:{form}}", "missed": not figure <= most}


def asked(name: str, only: str) -> bool:
    """Whether `name` holds one of the comma-separated parts; of no parts, always."""
    return any(part in name for part in only.split(","))


def seconds(values: Iterable[float]) -> str:
    """The median, in a unit that fits."""
    middle = statistics.median(values)
    return f"{middle:.2f} s" if middle >= 1 else f"{1e3 * middle:.3g} ms"
