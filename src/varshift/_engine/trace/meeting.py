"""How a bare draw meets data, or numbers, in one operation."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from varshift._engine.trace.ops import Operation

__all__ = ["how_it_meets", "number_beside"]


def how_it_meets(operation: Operation, noise: Tensor) -> str:
    """What the bare draw does to the data it meets: multiply, keep, drop, add or else."""
    name, args = operation.name, operation.args
    if name in ("mul", "bitwise_and", "logical_and"):
        return "multiply"
    if name in ("add", "sub", "rsub"):
        return "add"
    if name in ("masked_fill", "index_put") and _is_zero(args[2]):
        return "drop"
    if name == "where" and args[0] is noise:
        return "keep" if _is_zero(args[2]) else "drop" if _is_zero(args[1]) else "other"
    return "other"


def _is_zero(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not bool(value.any())
    return isinstance(value, (int, float)) and value == 0


def number_beside(args: tuple[Any, ...], noise: Tensor) -> tuple[float | None, bool]:
    """The one number beside the noise (or None), and whether nothing else is there."""
    number: float | None = None
    for value in args:
        if value is noise:
            continue
        if isinstance(value, Tensor):
            if value.ndim:
                return None, False
            value = float(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if number is not None:
                return None, True
            number = float(value)
    return number, True
