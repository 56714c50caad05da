"""Which values of the data share one draw of the noise that meets them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from varshift._engine.trace import ops
from varshift._engine.trace.laws import UNKNOWN, Law
from varshift._engine.trace.ops import Operation
from varshift.results.structure import Sharing

__all__ = ["for_whole_batches", "has_samples", "sharing_of"]

_BY_CHANCE = -6.0  # log10 of a chance that is taken for none


def sharing_of(noise: Tensor, data: Tensor, law: Law = UNKNOWN) -> Sharing:
    """Which values of `data` share one draw of a `noise` that broadcasts against it.

    Dimension 0 is taken for samples, dimension 1 for channels, as convolutions and norms take
    them: a mask by time or by column is "other". Broadcasting and expanded dimensions are shared,
    and those along which the values repeat, as where a mask was expanded and copied.
    """
    lead = data.ndim - noise.ndim
    varies = [
        dim
        for dim in range(data.ndim)
        if dim >= lead
        and data.shape[dim] > 1
        and noise.shape[dim - lead] == data.shape[dim]
        and noise.stride(dim - lead) != 0
    ]
    copied = _repeated(noise, [dim - lead for dim in varies], law)
    varies = [dim for dim in varies if dim - lead not in copied]
    wide = [dim for dim in range(data.ndim) if data.shape[dim] > 1]
    if varies == wide:
        return "element" if wide else "sample"
    inner = [dim for dim in varies if dim > 0]
    whole_batch = 0 in wide and 0 not in varies
    if whole_batch or lead > 0:
        return "other"
    if not inner:
        return "sample"
    return "channel" if inner == [1] else "other"


def for_whole_batches(noise: Tensor, read: Sequence[Tensor], result: Tensor) -> bool:
    """Whether a `noise` that broadcasts against what else is read meets all samples alike.

    Samples are dimension 0 of the result.
    """
    if len(read) < 2 or not result.ndim or result.shape[0] < 2:
        return False
    try:
        # numpy's: torch's own loads the compiler.
        spread = np.broadcast_shapes(*(tuple(tensor.shape) for tensor in read))
    except ValueError:  # an index, a product of matrices: nothing is spread
        return False
    if spread != tuple(result.shape):
        return False
    return noise.ndim < result.ndim or noise.shape[0] == 1 or noise.stride(0) == 0


_JOINS = frozenset({"cat", "stack"})
_PICKS = frozenset({"embedding", "index_select", "index", "gather"})


def has_samples(operation: Operation, tensor: Tensor, read: Sequence[Tensor]) -> bool:
    """Whether each sample of the data read with it has rows of `tensor` of its own.

    Nobody does of weights; of a learnt token that was enlarged to the batch each does.
    """
    if tensor.ndim < 2 or tensor.shape[0] == 1 or tensor.stride(0) == 0:
        return False
    if operation.name in _JOINS:
        return True
    if operation.name in _PICKS:
        return False
    if operation.name in ops.MATRIX:
        rows = tensor is operation.args[0] or tensor.ndim > 2
        return rows and operation.name in ("mm", "bmm", "matmul")
    result = next(iter(operation.outputs()), tensor)
    return tensor.ndim == result.ndim and not for_whole_batches(tensor, read, result)


def _repeated(noise: Tensor, dims: list[int], law: Law) -> list[int]:
    """Those of the dimensions along which all values repeat, unless that may be by chance."""
    if noise.layout != torch.strided or noise.is_complex() or noise.is_quantized:
        return []
    core, found, times = noise, list[int](), 1
    for dim in dims:
        first = core.narrow(dim, 0, 1)
        # The second alone tells nearly always, and costs little.
        if bool((core.narrow(dim, 1, 1) == first).all()) and bool((core == first).all()):
            times *= core.shape[dim]
            found.append(dim)
            core = first
    return found if found and _chance_alike(core, times, law) < _BY_CHANCE else []


def _chance_alike(values: Tensor, times: int, law: Law) -> float:
    """log10 of the chance that so many values are each drawn `times` times in a row."""
    if law.kind == "bernoulli":
        chances = [law.chance, 1 - law.chance]
    elif law.kind in ("uniform", "gaussian"):
        return -math.inf
    else:
        counts = values.unique(return_counts=True)[1]
        chances = (counts.double() / values.numel()).tolist()
    alike = sum(chance**times for chance in chances)
    return values.numel() * math.log10(alike) if alike else -math.inf
