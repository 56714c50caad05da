"""Constants that a bare draw meets: a signal, as a positional encoding is, or what shapes a mask.

Constants carry nothing, so a draw beside them stays a draw that is shaped further. Dropout of a
table of sines or of a first state of zeros acts on them, though: what comes out is no mask any
more, but that table, with noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from varshift._engine.trace.flow import Flow
from varshift._engine.trace.laws import Law
from varshift._engine.trace.meeting import marks
from varshift._engine.trace.ops import Operation

__all__ = ["with_signals"]

_SIGNAL = Flow(weight=True)  # as weights are: the same whatever the example


def with_signals(operation: Operation, flows: list[Flow]) -> list[Flow]:
    """What the operation reads carries, constants that a factor or mask acts on told as signals."""
    bare = [index for index, flow in enumerate(flows) if flow.noise is not None]
    if len(bare) != 1 or any(flow.data or flow.weight for flow in flows):
        return flows
    read, law = operation.read(), flows[bare[0]].law
    if law is None or not _is_factor(law):
        return flows
    noise = read[bare[0]]
    acted_on = {
        id(value)
        for value in _acted_on(operation, noise)
        if isinstance(value, Tensor)
        and value is not noise
        and _is_signal(value, zeros=_of_zeros(operation, value, noise))
    }
    return [_SIGNAL if id(x) in acted_on else f for x, f in zip(read, flows, strict=True)]


def _acted_on(operation: Operation, noise: Tensor) -> Sequence[Any]:
    """What is multiplied by the noise, or stands or falls by it."""
    name, args = operation.name, operation.args
    if name == "mul":
        return args[:2]
    if name == "where" and args[0] is noise:
        return args[1:3]
    filled = name == "masked_fill" and args[1] is noise
    return args[:1] if filled or marks(operation, noise) else ()


def _is_factor(law: Law) -> bool:
    """Whether a mean stands for it: what is drawn about 0 will be added to something."""
    return math.isfinite(law.mean) and law.mean != 0


def _of_zeros(operation: Operation, target: Tensor, noise: Tensor) -> bool:
    """Whether zeros in all places would be a signal: a first state is, what a mask fills is not."""
    return operation.name == "mul" and target.ndim > 0 and target.shape == noise.shape


def _is_signal(constant: Tensor, *, zeros: bool) -> bool:
    """Whether it has more than one value other than 0; with that one alone it shapes a mask."""
    if constant.layout != torch.strided or not constant.is_floating_point():
        return False
    values = constant[constant != 0]
    return bool((values != values[0]).any()) if values.numel() else zeros and constant.numel() > 0
