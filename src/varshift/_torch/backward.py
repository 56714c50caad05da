"""Gradients while a function mode is on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import graph

__all__ = ["gradients"]

# Without it modes change nothing where the model runs again; torch says so by an error.
_run_backward: Any = getattr(graph, "_engine_run_backward", None)


def gradients(loss: Tensor, inputs: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    """Of a number by each input; None where it does not follow it.

    `torch.autograd.grad` is itself a function that modes are asked about, and a mode is set aside
    while it answers: where the model computes a block again, nobody would meet its norms.
    """
    if _run_backward is None:
        return torch.autograd.grad(loss, inputs, allow_unused=True)
    found: tuple[Tensor | None, ...] = _run_backward(
        *((loss,), (torch.ones_like(loss),), False, False, tuple(inputs)),
        allow_unreachable=True,
        accumulate_grad=False,
    )
    return found
