"""Mutants that no test can kill, each with the reason."""

from __future__ import annotations

__all__ = ["EQUIVALENT"]

EQUIVALENT: dict[str, str] = {
    "04f3082b0a": "the law refuses it next, in other words",
    "0062ec14b1": "without an accelerator all lies on one device",
    "04a8e87c2e": "nothing lies in it, and only its length is read until the first batch deals",
    "0948fbce3f": "on the border itself both ways to the value are exact",
    "02964b7a3c": "sixty halvings are past the last digit of a float already",
    "017d0f0591": "a pass then goes on to its end after its norm was met, for nothing",
    "01d704e4f7": "without an accelerator there is no stream, and setting none does nothing",
    "0334c72f6a": "a class is read once for each of its modules; what it names is known by then",
    "039e661374": "asked only whether it is true",
    "05786374a0": "the name of a type, read by the type checker alone",
    "06d467e10f": "asked only whether it is true",
    "07080ed93c": "the descriptor of a class's `__dict__` is read, and never found changed",
    "01141ebe80": "a batch is cut into two pieces or into none",
    "014d972af8": "the difference of two doubles near 1 is never the double next to 0.05",
    "00489433e1": "asked only whether it is true, until it is set",
    "0340916943": "every operation that ends here has a schema",
    "034980ecce": "an ellipsis is one of Python's own, which are let be in the next step",
    "030e15f960": "an attribute that is the same object still is set once more",
}
