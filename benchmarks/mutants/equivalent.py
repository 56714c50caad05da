"""Mutants that no test can kill, each with the reason."""

from __future__ import annotations

__all__ = ["EQUIVALENT"]

EQUIVALENT: dict[str, str] = {
    "0948fbce3f": "on the border itself both ways to the value are exact",
    "02964b7a3c": "sixty halvings are past the last digit of a float already",
    "0334c72f6a": "a class is read once for each of its modules; what it names is known by then",
    "07080ed93c": "the descriptor of a class's `__dict__` is read, and never found changed",
    "014d972af8": "the difference of two doubles near 1 is never the double next to 0.05",
    "034980ecce": "an ellipsis is one of Python's own, which are let be in the next step",
    "030e15f960": "an attribute that is the same object still is set once more",
}
