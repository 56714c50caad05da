"""A tensor as it is lent: the same storage afterwards, with the same bits and the same version."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine.borrow.bits import Bits
from varshift._torch.tensors import set_version, version

__all__ = ["Digest", "KeptTensor", "changed", "has_values", "parts_of"]

_PLAIN = (Tensor, nn.Parameter)


def parts_of(tensor: Tensor) -> list[Tensor]:
    """The tensors that hold the data: itself, or what a wrapper such as a DTensor wraps."""
    if type(tensor) in _PLAIN or not hasattr(tensor, "__tensor_flatten__"):
        return [tensor]
    return [
        part for name in tensor.__tensor_flatten__()[0] for part in parts_of(getattr(tensor, name))
    ]


def has_values(tensor: Tensor) -> bool:
    """Whether it has values that can be copied.

    Meta tensors have none, nor has a view of weights that a sharded wrapper has given back: reading
    it would end the process.
    """
    if tensor.is_meta or tensor.is_nested:
        return False
    if type(tensor) not in _PLAIN or tensor.layout != torch.strided:
        return True
    return tensor.untyped_storage().nbytes() >= _bytes_needed(tensor)


class KeptTensor:
    """Storage, bits and version of a tensor; `restore()` puts them back.

    With `late` the bits are not copied before `take()`, which must come before anything is written.
    """

    copy: Tensor
    bits: Bits

    def __init__(self, tensor: Tensor, *, late: bool = False) -> None:
        self.tensor = tensor
        self._version = None if tensor.is_inference() else version(tensor)
        # Not detach(): what is written to this alias is not told to the version counter, which
        # would break a graph that the user has not yet run backward through.
        self.alias = tensor.data
        self._strided = tensor.layout == torch.strided
        self._pointer = tensor.data_ptr() if self._strided else 0
        self._stride = tensor.stride() if self._strided else ()
        self.place = _without_repeats(self.alias) if self._strided else self.alias
        self.taken = False
        if not late:
            self.take()

    def take(self) -> None:
        """Copy the bits."""
        self.copy = self.place.clone()
        self.bits = Bits(self.place, self.copy)
        self.taken = True

    @property
    def plain(self) -> bool:
        """Whether it can be written together with others in one call."""
        return self.bits.pair is not None and self._version is not None

    def unwritten(self) -> bool:
        """Whether nothing says that it was written to; what goes through `.data` says nothing."""
        return self._version is not None and version(self.tensor) == self._version

    def lost(self) -> bool:
        """Whether it was not copied, and something says that its bits are others now."""
        if self.taken:
            return False
        return self.alias.data_ptr() != self._pointer or not (self.unwritten() or self.moved())

    def restore(self) -> None:
        """Undo a write, a resize, or another storage behind the same object."""
        self.put_in_place()
        if not self.bits.same():
            self.write()
        self.put_version()

    def put_in_place(self) -> None:
        """The same storage behind it, as large as it was."""
        if self.moved():
            self.tensor.data = self.alias
            if self._strided and self.alias.data_ptr() != self._pointer:
                _grow(self.alias)

    def moved(self) -> bool:
        """Whether another storage, shape or dtype is behind the same object."""
        now = self.tensor
        if not self._strided:
            return now.layout != self.alias.layout or now.shape != self.alias.shape
        return (
            now.data_ptr() != self._pointer
            or now.shape != self.alias.shape
            or now.dtype != self.alias.dtype
            or now.device != self.alias.device
            or now.stride() != self._stride
        )

    def write(self) -> None:
        """Put the bits back, without a word to the version counter."""
        if self._version is None:
            with torch.inference_mode():
                self.place.copy_(self.copy)
        else:
            self.place.copy_(self.copy)

    def put_version(self) -> None:
        """The bits are those that a graph saved, so its saved tensors are as good as before."""
        if self._version is not None and version(self.tensor) != self._version:
            set_version(self.tensor, self._version)


class Digest:
    """What tells that a tensor was written to, where there is no room for a copy of it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self._version = None if tensor.is_inference() else version(tensor)
        self._pointer = tensor.data_ptr()
        self._sums = self._digest()

    def same(self) -> bool:
        """Whether it most probably holds what it held."""
        return (
            (self._version is None or version(self.tensor) == self._version)
            and self.tensor.data_ptr() == self._pointer
            and bool(torch.equal(self._digest(), self._sums))
        )

    def _digest(self) -> Tensor:
        flat = self.tensor.data.contiguous().reshape(-1).view(torch.uint8)
        whole = flat[: flat.numel() // 8 * 8].view(torch.int64)
        rows = whole[: whole.numel() // 4096 * 4096].view(-1, 4096)
        return torch.cat([rows.sum(1), whole[rows.numel() :].sum().view(1)])


def changed(kept: Iterable[KeptTensor]) -> list[KeptTensor]:
    """Those whose bits are others now; one synchronisation for all that lie on an accelerator."""
    found: list[KeptTensor] = []
    far: list[KeptTensor] = []
    for each in kept:
        if each.place.device.type == "cpu" or each.bits.pair is None:
            if not each.bits.same():
                found.append(each)
        else:
            far.append(each)
    if far:
        flags = [(one != other).any().to(far[0].place.device) for one, other in map(_pair, far)]
        moved = torch.stack(flags).tolist()
        found += [each for each, flag in zip(far, moved, strict=True) if flag]
    return found


def _pair(kept: KeptTensor) -> Any:
    return kept.bits.pair


def _without_repeats(tensor: Tensor) -> Tensor:
    """One of each value where a tensor shows one place of memory many times."""
    for dim, stride in enumerate(tensor.stride()):
        if stride == 0 and tensor.shape[dim] > 1:
            tensor = tensor.narrow(dim, 0, 1)
    return tensor


def _grow(alias: Tensor) -> None:
    """Memory again for a storage that was resized; what was in it comes from the copy."""
    storage, needed = alias.untyped_storage(), _bytes_needed(alias)
    if storage.nbytes() < needed:
        storage.resize_(int(needed))


def _bytes_needed(tensor: Tensor) -> int:
    """Up to where it reads in its storage."""
    if not tensor.numel():
        return 0
    if tensor.is_contiguous():
        return int((tensor.storage_offset() + tensor.numel()) * tensor.element_size())
    last = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    return int((tensor.storage_offset() + last + 1) * tensor.element_size())
