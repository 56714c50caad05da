"""How a bare draw meets data in one operation, and which of its values share it."""

from __future__ import annotations

import torch
from torch import Tensor

from varshift._engine.trace.laws import UNKNOWN, Law, constant
from varshift._engine.trace.ops import Operation
from varshift._engine.trace.sharing import sharing_of
from varshift.results.structure import Sharing

__all__ = ["how_it_meets", "marks", "sharing_where_it_meets"]


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


def sharing_where_it_meets(
    operation: Operation, noise: Tensor, data: Tensor, law: Law | None
) -> Sharing:
    """Which values of `data` share one draw; an index stands for its leading dimensions."""
    if marks(operation, noise):
        before = len(operation.args[1]) - 1
        behind = data.ndim - before - noise.ndim
        noise = noise.reshape((1,) * before + tuple(noise.shape) + (1,) * behind)
    return sharing_of(noise, data, law or UNKNOWN)
