"""Mutants that no test can kill, each with the reason."""

from __future__ import annotations

__all__ = ["EQUIVALENT"]

EQUIVALENT: dict[str, str] = {
    "0948fbce3f": "on the border itself both ways to the value are exact",
    "02964b7a3c": "sixty halvings are past the last digit of a float already",
    "0334c72f6a": "a class is read once for each of its modules; what it names is known by then",
}
