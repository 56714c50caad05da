"""Whether two tensors hold the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Bits", "same_bits"]

_WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_LARGE = 1 << 14  # bytes from which numpy compares faster than torch, call included


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


class Bits:
    """Two tensors of one shape, dtype and device, made ready to be compared often."""

    def __init__(self, one: Tensor, other: Tensor) -> None:
        self.pair: tuple[Tensor, Tensor] | None = None
        self._tensors = (one, other)
        self._arrays: tuple[Any, Any] | None = None
        whole = _WHOLE.get(one.element_size()) if _viewable(one) and _viewable(other) else None
        if whole is None:
            return
        self.pair = (one.view(whole), other.view(whole))
        if one.device.type == "cpu" and one.numel() * one.element_size() >= _LARGE:
            self._arrays = (self.pair[0].numpy(), self.pair[1].numpy())

    def same(self) -> bool:
        """Whether they hold the same bits now."""
        if self._arrays is not None:
            return bool(np.array_equal(*self._arrays))
        if self.pair is not None:
            return torch.equal(*self.pair)
        return same_bits(*self._tensors)


def _viewable(tensor: Tensor) -> bool:
    """Whether its values can be looked at as whole numbers where they lie."""
    return tensor.layout == torch.strided and not (
        tensor.is_quantized or tensor.is_conj() or tensor.is_neg()
    )


def _flat(tensor: Tensor) -> Tensor:
    """Its values side by side, as bytes can be read of them."""
    held = tensor.detach()
    held = held.int_repr() if held.is_quantized else held.resolve_conj().resolve_neg()
    return held.contiguous().reshape(-1)
