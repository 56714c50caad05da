"""Cells as builders make them: names, figures with their errors, numbers, chances."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from varshift._draw.document import Cell
from varshift._draw.figures import figure, measured, shortened
from varshift.results import Figure

__all__ = [
    *("by_reason", "chance", "error", "name", "named", "names", "number", "percent", "words"),
    "known",
]

_NAMES = 3  # names in one cell
_LISTED = 4  # norms of a note that are called by name
_SAID = 80  # columns of a name within a sentence, which has several lines


def name(text: str, before: str = "", after: str = "") -> Cell:
    """A name, which may be cut from the left; what stands before and after it is kept."""
    return Cell(text, "name", None, before, after)


def names(every: Iterable[str]) -> Cell:
    """The first names of several, and how many more."""
    held = list(dict.fromkeys(every))
    more = f" and {len(held) - _NAMES} more" if len(held) > _NAMES else ""
    return name(", ".join(held[:_NAMES]) or "—", after=more)


def words(text: str, style: str = "") -> Cell:
    """Text that may go over several lines."""
    return Cell(text, "words", style=style)


def number(value: float | int | None, digits: int = 4) -> Cell:
    """A number, sorted by itself; what is not known is sorted last."""
    if value is None or value != value:
        return Cell("—", sort="")
    return Cell(figure(float(value), digits), sort=float(value))


def error(value: float, se: float, digits: int = 3) -> Cell:
    """A figure with its standard error."""
    return Cell(measured(value, se, digits), sort=value if value == value else "")


def chance(p_value: float) -> Cell:
    """A p-value; one that has run out of digits is not nothing."""
    return number(p_value, 2) if p_value > 1e-16 else Cell("< 1e-16", sort=p_value)


def percent(share: Figure) -> str:
    """A share with its error, as a percentage."""
    if not math.isfinite(share.value):
        return "—"
    return f"{measured(100 * share.value, 100 * share.se, 1)} %"


def named(text: str) -> str:
    """A name within a sentence; that of the whole model is empty."""
    return shortened(text, _SAID) or "the model itself"


def known(value: float) -> float:
    """0 for NaN: what has no size weighs nothing."""
    return value if value == value else 0.0


def by_reason(skipped: Mapping[str, str], what: str = "") -> Iterator[str]:
    """One note for all sites that share a reason, with what was not done to them."""
    grouped: dict[str, list[str]] = {}
    for path, reason in skipped.items():
        grouped.setdefault(reason, []).append(path)
    for reason, paths in grouped.items():
        more = f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
        listed = ", ".join(named(path) for path in paths[:_LISTED])
        said = reason.startswith(what.removesuffix(", ")) if what else False
        yield f"{listed}{more}: {'' if said else what}{reason}"
