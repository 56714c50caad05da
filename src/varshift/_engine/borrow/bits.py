"""Whether two tensors hold the same bits."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["same_bits"]


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Equality that takes NaN for equal to itself and tells +0 from −0; never of sparse tensors."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.layout != torch.strided or other.layout != torch.strided:
        return False
    if one.numel() == 0:
        return True
    one, other = _flat(one), _flat(other)
    return torch.equal(one.view(torch.uint8), other.view(torch.uint8))


def _flat(tensor: Tensor) -> Tensor:
    """Its values side by side, as bytes can be read of them."""
    held = tensor.detach()
    held = held.int_repr() if held.is_quantized else held.resolve_conj().resolve_neg()
    return held.contiguous().reshape(-1)
