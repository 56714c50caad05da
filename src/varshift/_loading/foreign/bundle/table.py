"""The index of a bundle: a table of sorted names, as LevelDB's doc/table_format.md has it."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from varshift._loading.foreign.bundle.crc32c import crc32c, masked
from varshift._loading.foreign.bundle.wire import varint

__all__ = ["entries"]

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_TRAILER = 5  # a byte for the compression, four for the checksum


def entries(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of each entry, in the order of keys.

    Raises:
        ValueError: no table, a broken one, or a compressed one.
    """
    if len(data) < _FOOTER or struct.unpack("<Q", data[-8:])[0] != _MAGIC:
        raise ValueError("it does not end as an index of TensorFlow does")
    _, _, at = _handle(data[-_FOOTER:], 0)  # of the index of filters, which there are none of
    offset, size, _ = _handle(data[-_FOOTER:], at)
    for _, handle in _pairs(_block(data, offset, size)):
        start, length, _ = _handle(handle, 0)
        yield from _pairs(_block(data, start, length))


def _handle(data: bytes, at: int) -> tuple[int, int, int]:
    """Offset and size of a block, and where the handle ends."""
    offset, at = varint(data, at)
    size, at = varint(data, at)
    return offset, size, at


def _block(data: bytes, offset: int, size: int) -> bytes:
    end = offset + size
    if end + _TRAILER > len(data):
        raise ValueError("a block of its index lies beyond its end")
    (told,) = struct.unpack("<I", data[end + 1 : end + _TRAILER])
    if told != masked(crc32c(data[offset : end + 1])):
        raise ValueError("a block of its index does not match its stored checksum")
    if data[end]:
        raise ValueError("its index is compressed, which TensorFlow's own are not")
    return data[offset:end]


def _pairs(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """A key is told as how much of the last one it shares, and its own end."""
    if len(block) < 4:
        raise ValueError("a block of its index is too short")
    (restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 * (restarts + 1)
    at, key = 0, b""
    while at < end:
        shared, at = varint(block, at)
        own, at = varint(block, at)
        size, at = varint(block, at)
        if shared > len(key) or at + own + size > end:
            raise ValueError("an entry of its index does not end")
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : at + own + size]
        at += own + size
