"""Training that ends alike on every processor, so that a test may ask what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["steady"]


@contextmanager
def steady(seed: int) -> Iterator[None]:
    """float64 on one thread, torch's generator seeded, and all three given back.

    Processors round differently, and training multiplies such a difference some million times.
    What is made in here, the first weights included, has float64: as float32 the end would hang
    on the processor. Afterwards `.float()` gives a cheaper network of the same weights.
    """
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            torch.set_num_threads(threads)
