"""A number that knows its standard error."""

from __future__ import annotations

from typing import Any

from varshift._base import plain

__all__ = ["Figure"]


class Figure(float):
    """A number that knows its standard error, `se`; in all else a float.

    >>> share = Figure(0.5, 0.01)
    >>> share > 0.4, share.se
    (True, 0.01)
    """

    se: float

    def __new__(cls, value: float, se: float) -> Figure:
        """The number and its standard error."""
        made = super().__new__(cls, value)
        made.se = se
        return made

    def __getnewargs__(self) -> tuple[float, float]:  # type: ignore[override]
        return self.value, self.se

    def __repr__(self) -> str:
        return f"Figure({self.value!r}, {self.se!r})"

    @property
    def value(self) -> float:
        """The number alone."""
        return float(self)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: `value` and `se`, null where not known."""
        return {"value": plain(self.value), "se": plain(self.se)}
