"""Protocol buffers on the wire, as far as checkpoints need them: fields, without a schema."""

from __future__ import annotations

import struct
from collections.abc import Iterator

__all__ = ["fields", "number", "signed", "varint"]


class _Truncated(ValueError):
    """A message ends inside a field."""


def varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """The number at `at`, and where it ends."""
    found = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise _Truncated("a number does not end")
        byte = data[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return found, at
        shift += 7


def fields(data: bytes | memoryview) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field: whole numbers, or bytes (of strings, messages, floats)."""
    at, view = 0, memoryview(data)
    while at < len(view):
        tag, at = varint(view, at)
        kind = tag & 7
        if kind == 0:
            value, at = varint(view, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, at = varint(view, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise _Truncated(f"a field of kind {kind}, which messages do not have")
        if at + size > len(view):
            raise _Truncated("a field does not end")
        yield tag >> 3, bytes(view[at : at + size])
        at += size


def signed(value: int | bytes) -> int:
    """A varint as int64 keeps it."""
    whole = number(value)
    return whole - (1 << 64) if whole >= 1 << 63 else whole


def number(value: int | bytes) -> int:
    """A whole number, fixed or not."""
    if isinstance(value, int):
        return value
    if len(value) not in (4, 8):
        raise _Truncated("a number was expected, and a message found")
    found: int = struct.unpack("<I" if len(value) == 4 else "<Q", value)[0]
    return found
