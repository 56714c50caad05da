"""How a bare draw meets data in one operation."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from varshift._engine.trace.ops import Operation

__all__ = ["how_it_meets"]


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
