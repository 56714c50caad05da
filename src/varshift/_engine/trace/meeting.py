"""How a bare draw meets data in one operation, and over which of its dimensions."""

from __future__ import annotations

import torch
from torch import Tensor

from varshift._engine.trace.laws import constant
from varshift._engine.trace.ops import Operation

__all__ = ["as_it_meets", "how_it_meets", "marks"]


def how_it_meets(operation: Operation, noise: Tensor) -> str:
    """What the bare draw does to the data it meets: multiply, keep, drop, add or else."""
    name, args = operation.name, operation.args
    if name in ("mul", "bitwise_and", "logical_and"):
        return "multiply"
    if name in ("add", "sub", "rsub"):
        return "add"
    if name in ("masked_fill", "index_put") and constant(args[2]) == 0:
        return "drop"
    if name == "where" and args[0] is noise:
        return "keep" if constant(args[2]) == 0 else "drop" if constant(args[1]) == 0 else "other"
    return "other"


def marks(operation: Operation, noise: Tensor) -> bool:
    """Whether it says, alone, which values of the data are written over: `x[mask] = 0`."""
    if operation.name != "index_put" or operation.argument("accumulate"):
        return False
    *before, mask = operation.args[1]
    alone = all(each is None for each in before)
    return mask is noise and alone and noise.dtype == torch.bool


def as_it_meets(operation: Operation, noise: Tensor, data: Tensor) -> Tensor:
    """The draw with the dimensions that it broadcasts by; an index meets the leading ones."""
    if not marks(operation, noise):
        return noise
    before = len(operation.args[1]) - 1
    behind = data.ndim - before - noise.ndim
    return noise.reshape((1,) * before + tuple(noise.shape) + (1,) * behind)
