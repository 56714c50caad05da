"""Adam over one cycle, as torch has it; torch's own optimisers load its compiler when made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Adam", "one_cycle"]

_SECOND, _EPS = 0.999, 1e-8
_RISING = 0.3  # of all steps
_START, _END = 25.0, 1e4  # the height is so much more than the start, and that than the end
_LOW, _HIGH = 0.85, 0.95  # of the first moment's decay, which is lowest where the rate is highest


@dataclass(eq=False)
class _Moments:
    first: Tensor
    second: Tensor
    steps: int = 0


class Adam:
    """Steps of Adam on tensors that need no graph of it: rate and decay are said step by step."""

    def __init__(self, numbers: Sequence[Tensor]) -> None:
        self._numbers = list(numbers)
        self._moments = [
            _Moments(torch.zeros_like(number), torch.zeros_like(number)) for number in numbers
        ]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor | None], rate: float, decay: float) -> None:
        """One step; a number without a gradient stays as it is."""
        for number, gradient, held in zip(self._numbers, gradients, self._moments, strict=True):
            if gradient is None:
                continue
            held.steps += 1
            held.first.lerp_(gradient, 1 - decay)
            held.second.mul_(_SECOND).addcmul_(gradient, gradient, value=1 - _SECOND)
            size = rate / (1 - decay**held.steps)
            spread = (held.second.sqrt() / math.sqrt(1 - _SECOND**held.steps)).add_(_EPS)
            number.addcdiv_(held.first, spread, value=-size)


def one_cycle(step: int, steps: int, height: float) -> tuple[float, float]:
    """Rate and decay of a step, counted from 0: up to `height` by a cosine, and down again.

    torch's `OneCycleLR` with what it takes by default, for an optimiser with `betas`.
    """
    top = _RISING * steps - 1
    start = height / _START
    if step <= top:
        share = step / top
        return _between(start, height, share), _between(_HIGH, _LOW, share)
    share = (step - top) / (steps - 1 - top)
    return _between(height, start / _END, share), _between(_LOW, _HIGH, share)


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
