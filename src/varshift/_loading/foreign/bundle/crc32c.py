"""CRC-32C (RFC 3720), by which TensorFlow's files prove what was read from them.

Byte after byte, Python would take a second for each megabyte. So long data are cut into equal lanes
that numpy advances together; the lanes' sums are joined by what a run of zero bytes does to a sum.
"""

from __future__ import annotations

import numpy as np

from varshift._loading.foreign.layers import Array

__all__ = ["crc32c", "extended", "masked"]

_POLYNOMIAL = 0x82F63B78  # with its bits reversed
_LANES = 4096
_ALL = 0xFFFFFFFF


def crc32c(data: bytes | memoryview) -> int:
    """The checksum of `data`.

    >>> hex(crc32c(b"123456789"))  # the published check value
    '0xe3069283'
    """
    return extended(0, data)


def extended(crc: int, data: bytes | memoryview) -> int:
    """The checksum of what gave `crc`, followed by `data`."""
    view = np.frombuffer(data, np.uint8)
    each = len(view) // _LANES
    state = crc ^ _ALL
    if each >= 8:
        lanes = view[: each * _LANES].reshape(_LANES, each)
        state = _joined(state, _advanced(lanes), each)
        view = view[each * _LANES :]
    for byte in view.tolist():
        state = (state >> 8) ^ _ENTRIES[(state ^ byte) & 0xFF]
    return state ^ _ALL


def masked(crc: int) -> int:
    """As TensorFlow stores it: a checksum of data that hold checksums would be weak."""
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & _ALL


def _table() -> Array:
    entries = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        odd = (entries & 1).astype(bool)
        entries = np.where(odd, (entries >> 1) ^ np.uint32(_POLYNOMIAL), entries >> 1)
    return entries.astype(np.uint32)


_TABLE = _table()
_ENTRIES: list[int] = _TABLE.tolist()


def _advanced(lanes: Array) -> list[int]:
    """The state of each lane (lanes, bytes) that began at zero."""
    state = np.zeros(len(lanes), np.uint32)
    for column in np.ascontiguousarray(lanes.T):
        state = (state >> np.uint32(8)) ^ _TABLE[(state ^ column) & 0xFF]
    found: list[int] = state.tolist()
    return found


def _joined(state: int, lanes: list[int], each: int) -> int:
    """The state after all lanes: zeros as long as a lane, then the lane's own, which is linear."""
    one, two, three, four = _tables_of(_zeros(each))
    for lane in lanes:
        state = (
            one[state & 0xFF]
            ^ two[(state >> 8) & 0xFF]
            ^ three[(state >> 16) & 0xFF]
            ^ four[state >> 24]
            ^ lane
        )
    return state


def _zeros(count: int) -> list[int]:
    """What `count` zero bytes make of each bit of a state, by repeated squaring."""
    power = [_after_zero(1 << bit) for bit in range(32)]
    result = [1 << bit for bit in range(32)]
    while count:
        if count & 1:
            result = [_applied(power, column) for column in result]
        power = [_applied(power, column) for column in power]
        count >>= 1
    return result


def _after_zero(state: int) -> int:
    return (state >> 8) ^ _ENTRIES[state & 0xFF]


def _applied(matrix: list[int], state: int) -> int:
    found = 0
    for column in matrix:
        if state & 1:
            found ^= column
        state >>= 1
    return found


def _tables_of(matrix: list[int]) -> list[list[int]]:
    return [[_applied(matrix, byte << (8 * place)) for byte in range(256)] for place in range(4)]
