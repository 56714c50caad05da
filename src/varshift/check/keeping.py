"""Tensors in lists, tuples and dicts of modules: `F.batch_norm` may write to them as to buffers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from varshift.lending import walk
from varshift.lending.bits import same_bits

__all__ = ["kept"]

_DEEP = 4  # containers within containers; a structure that holds itself must end


@contextmanager
def kept(model: nn.Module) -> Iterator[None]:
    """Put their contents back; `borrowed` does it for buffers and attributes that are tensors."""
    held = [(tensor, tensor.detach().clone()) for tensor in _tensors(model)]
    try:
        yield
    finally:
        for tensor, before in held:
            if tensor.shape == before.shape and not same_bits(tensor, before):
                # As batch norm writes: without a word to the version counter.
                tensor.data.copy_(before)


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    for _, module in walk(model):
        for name, value in vars(module).items():
            if name not in ("_parameters", "_buffers", "_modules"):
                yield from _within(value, _DEEP)


def _within(value: Any, deep: int) -> Iterator[Tensor]:
    if not isinstance(value, (list, tuple, Mapping)) or not deep:
        return
    for item in value.values() if isinstance(value, Mapping) else value:
        if isinstance(item, Tensor):
            # Batch norm writes to no other kind, and others cannot be compared by their bits.
            if item.layout == torch.strided and not (item.is_meta or item.is_nested):
                yield item
        else:
            yield from _within(item, deep - 1)
