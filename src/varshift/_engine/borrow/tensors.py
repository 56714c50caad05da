"""A tensor as it is lent: the same storage afterwards, with the same bits."""

from __future__ import annotations

import torch
from torch import Tensor

from varshift._engine.borrow.bits import same_bits

__all__ = ["KeptTensor"]


class KeptTensor:
    """Storage and bits of a tensor; `restore()` puts them back."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self._alias = tensor.detach()
        self._copy = self._alias.clone()

    def restore(self) -> None:
        """Undo a write, a resize, or another storage behind the same object."""
        if not _same_place(self.tensor, self._alias):
            self.tensor.data = self._alias
        # Only what was touched, and as batch norm writes, without a word to the version counter:
        # that would break a graph that the user has not yet run backward through.
        if not same_bits(self.tensor, self._copy):
            place, before = self.tensor.data, self._copy
            for dim, stride in enumerate(_strides(place)):
                if stride == 0 and place.shape[dim] > 1:  # one value shown many times
                    place, before = place.narrow(dim, 0, 1), before.narrow(dim, 0, 1)
            place.copy_(before)


def _strides(tensor: Tensor) -> tuple[int, ...]:
    return tensor.stride() if tensor.layout == torch.strided else ()


def _same_place(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype or one.device != other.device:
        return False
    if one.layout != torch.strided or other.layout != torch.strided:
        return one is other or one.layout == other.layout
    return one.data_ptr() == other.data_ptr() and one.stride() == other.stride()
