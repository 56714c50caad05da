"""Small inputs, the same every time, and the one way laws are compared with their twins."""

from __future__ import annotations

import torch
from hypothesis import settings
from torch import Tensor

# Decorator of every property: the same examples on every machine, no clock, no files.
prop = settings(derandomize=True, deadline=None, max_examples=60, database=None)


def normal(*shape: int, seed: int = 0, mean: float = 0.7) -> Tensor:
    """Float64 normal values that are not centred: a lost mean² must show."""
    generator = torch.Generator().manual_seed(seed)
    return mean + torch.randn(*shape, generator=generator, dtype=torch.float64)


def population(x: Tensor, channel_dim: int = 1) -> tuple[Tensor, Tensor]:
    """Mean and population variance per channel, the textbook way."""
    rows = x.movedim(channel_dim, 0).flatten(1)
    return rows.mean(1), rows.var(1, correction=0)


def assert_close(actual: Tensor, expected: Tensor, rtol: float = 1e-10, atol: float = 0.0) -> None:
    torch.testing.assert_close(actual, expected, rtol=rtol, atol=atol, check_dtype=False)
