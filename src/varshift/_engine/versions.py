"""Versions of tensors that are given other values for a while, and then the very same bits again.

Autograd runs no graph backward once a tensor that it saved counts another version. Where the same
bits are put back the count is put back too: a graph from before is as good as before. In between
the tensor counts a version that it has at no other time: a graph that has saved the values in
between stays refused. (What a norm itself writes in training it does not count.)
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor, nn

from varshift._torch.tensors import set_version, sets_versions, version

__all__ = ["Counted", "counted"]

_exchanges = count(1)
# 32 bits wide. Counts begin at 0, these half-way, each with room for writes of the user's own; they
# come round after half a million.
_HALF, _ROOM = 1 << 31, 1 << 12


@dataclass(frozen=True, eq=False)
class Counted:
    """Which tensor, where it lies, and its versions before other values are in it and meanwhile."""

    tensor: weakref.ref[Tensor]
    place: int
    dtype: torch.dtype
    before: int
    meanwhile: int

    def put_in(self, tensor: Tensor, value: Tensor) -> None:
        """Give it other values. Its version first, so that an interrupt finds it told."""
        set_version(tensor, self.meanwhile)
        tensor.data.copy_(value)

    def put_back(self, tensor: Tensor, old: Tensor) -> None:
        """Give it the values it had, and the version, unless something else was done to it."""
        if not self._still(tensor):
            tensor.copy_(old)
            return
        tensor.data.copy_(old)
        set_version(tensor, self.before)

    def _still(self, tensor: Tensor) -> bool:
        """Whether nobody has written to it since, or put another storage behind it."""
        if self.tensor() is not tensor or version(tensor) not in (self.before, self.meanwhile):
            return False
        return (tensor.data_ptr(), tensor.dtype) == (self.place, self.dtype)


def counted(tensors: Iterable[Tensor]) -> list[Counted | None]:
    """How each counts now, before all are given other values; None where no version can be set.

    Those that share a storage may share a count too, so all have one version meanwhile.
    """
    meanwhile = _HALF + next(_exchanges) * _ROOM % _HALF
    return [_counted(tensor, meanwhile) for tensor in tensors]


def _counted(tensor: Tensor, meanwhile: int) -> Counted | None:
    strided = type(tensor) in (Tensor, nn.Parameter) and tensor.layout == torch.strided
    if not strided or tensor.is_inference() or not sets_versions():
        return None
    place, dtype = tensor.data_ptr(), tensor.dtype
    return Counted(weakref.ref(tensor), place, dtype, version(tensor), meanwhile)
