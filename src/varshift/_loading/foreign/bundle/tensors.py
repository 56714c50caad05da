"""The tensors of a bundle: where each lies in which data file, read and proved by its checksum.

The format is that of tensorflow/core/protobuf/tensor_bundle.proto: an index of BundleEntryProto by
name, the entry "" is the header, and `num_shards` data files.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from varshift._counting import counted
from varshift._loading.foreign.bundle.crc32c import crc32c, extended, masked
from varshift._loading.foreign.bundle.table import entries
from varshift._loading.foreign.bundle.wire import fields, number, signed, varint
from varshift._loading.foreign.layers import Array

__all__ = ["Bundle", "BundleEntry", "opened"]

_STRING, _BFLOAT16 = 7, 14
# DataType of tensorflow/core/framework/types.proto.
_DTYPES = {
    **{1: "f4", 2: "f8", 3: "i4", 4: "u1", 5: "i2", 6: "i1", 9: "i8", 10: "?"},
    **{14: "u2", 17: "u2", 19: "f2", 22: "u4", 23: "u8"},
}


@dataclass(frozen=True)
class BundleEntry:
    """Where one tensor lies."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int
    sliced: bool

    @property
    def is_numeric(self) -> bool:
        """Whether its values are numbers that numpy has, whole in one place."""
        return self.dtype in _DTYPES and not self.sliced


@dataclass(frozen=True)
class Bundle:
    """An index that was read, and the data files beside it."""

    prefix: str
    entries: Mapping[str, BundleEntry]
    shards: tuple[Path, ...]
    big_endian: bool

    def read(self, name: str) -> Array:
        """The tensor of that name; ValueError where its checksum is another than the stored one."""
        entry = self.entries[name]
        wanted = np.dtype(_DTYPES[entry.dtype])
        if entry.size != math.prod(entry.shape) * wanted.itemsize:
            raise ValueError(f"{name!r} has {entry.size} bytes, its shape {entry.shape} others")
        data = self._bytes(name, entry)
        if masked(crc32c(data)) != entry.crc:
            raise ValueError(f"{name!r} does not match its stored checksum: the file is damaged")
        found = np.frombuffer(data, wanted.newbyteorder(">" if self.big_endian else "<"))
        found = found.astype(wanted, copy=False).reshape(entry.shape)
        return _widened(found) if entry.dtype == _BFLOAT16 else found

    def text(self, name: str) -> bytes:
        """The one string of that name; strings have a checksum of another make."""
        entry = self.entries[name]
        if entry.dtype != _STRING or math.prod(entry.shape) != 1:
            raise ValueError(f"{name!r} is not one string")
        data = self._bytes(name, entry)
        size, at = varint(data, 0)
        said = data[at : at + 4]
        # Over the length as a fixed number, then over that checksum as it is stored.
        crc = crc32c(struct.pack("<I" if size < 1 << 32 else "<Q", size))
        if said != struct.pack("<I", masked(crc)) or len(data) != at + 4 + size:
            raise ValueError(f"the length of {name!r} does not match its stored checksum")
        if masked(extended(extended(crc, said), data[at + 4 :])) != entry.crc:
            raise ValueError(f"{name!r} does not match its stored checksum: the file is damaged")
        return data[at + 4 :]

    def _bytes(self, name: str, entry: BundleEntry) -> bytes:
        path = self.shards[entry.shard] if entry.shard < len(self.shards) else None
        if path is None or not path.is_file():
            raise ValueError(
                f"{name!r} lies in a data file that is not there, number {entry.shard}"
            )
        if entry.offset + entry.size > path.stat().st_size:
            raise ValueError(f"{name!r} lies beyond the end of {path.name!r}, which is cut short")
        with path.open("rb") as file:
            file.seek(entry.offset)
            return file.read(entry.size)


def opened(prefix: str) -> Bundle:
    """The bundle whose files are named `prefix` + ".index" and `prefix` + ".data-…"."""
    index = Path(f"{prefix}.index")
    found = dict(entries(index.read_bytes()))
    header = dict(fields(found.pop(b"", b"")))
    count = number(header.get(1, 0))
    if not 0 < count <= 99999:
        raise ValueError(f"its header tells of {counted(count, 'data file')}")
    shards = tuple(Path(f"{prefix}.data-{each:05d}-of-{count:05d}") for each in range(count))
    held = {key.decode("utf-8"): _entry(value) for key, value in found.items() if key[:1] != b"\0"}
    return Bundle(prefix, held, shards, number(header.get(2, 0)) == 1)


def _entry(value: bytes) -> BundleEntry:
    dtype = shard = offset = size = crc = 0
    shape: tuple[int, ...] = ()
    sliced = False
    for key, held in fields(value):
        if key == 2:
            shape = _shape(held)
        elif key == 7:
            sliced = True
        elif key in (1, 3, 4, 5, 6):
            whole = number(held)
            dtype = whole if key == 1 else dtype
            shard = whole if key == 3 else shard
            offset = whole if key == 4 else offset
            size = whole if key == 5 else size
            crc = whole if key == 6 else crc
    return BundleEntry(dtype, shape, shard, offset, size, crc, sliced)


def _shape(value: int | bytes) -> tuple[int, ...]:
    if isinstance(value, int):
        raise ValueError("a shape is a number")
    sizes = []
    for key, dim in fields(value):
        if key == 2 and isinstance(dim, bytes):
            sizes.append(signed(dict(fields(dim)).get(1, 0)))
    if any(size < 0 for size in sizes):
        raise ValueError("a shape has a negative size")
    return tuple(sizes)


def _widened(halves: Array) -> Array:
    """bfloat16 is the upper half of float32."""
    return (halves.astype(np.uint32) << 16).view(np.float32)
