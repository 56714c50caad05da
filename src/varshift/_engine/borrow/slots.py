"""What an object keeps in `__slots__`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from types import MemberDescriptorType
from typing import Any

__all__ = ["KeptSlots"]

_EMPTY = object()


class KeptSlots:
    """The values of an object's slots, by identity; the empty ones too."""

    __slots__ = ("_members", "_value", "_values")

    def __init__(self, value: Any, members: tuple[MemberDescriptorType, ...]) -> None:
        self._value = value
        self._members = members
        self._values = [_read(member, value) for member in members]

    @classmethod
    def of(cls, value: Any) -> KeptSlots | None:
        """None where its class has no slots."""
        kind: Any = type(value)
        members = _members(kind)
        return cls(value, members) if members else None

    def items(self) -> Iterator[tuple[str, Any]]:
        """Names and values of those that are filled."""
        for member, held in zip(self._members, self._values, strict=True):
            if held is not _EMPTY:
                yield member.__name__, held

    def restore(self) -> None:
        """Fill and empty them as they were; the descriptor writes to frozen classes too."""
        for member, held in zip(self._members, self._values, strict=True):
            now = _read(member, self._value)
            if now is held:
                continue
            if held is _EMPTY:
                member.__delete__(self._value)
            else:
                member.__set__(self._value, held)


@lru_cache(maxsize=1024)
def _members(kind: Any) -> tuple[MemberDescriptorType, ...]:
    return tuple(
        member
        for each in kind.__mro__
        if "__slots__" in vars(each)
        for member in vars(each).values()
        if isinstance(member, MemberDescriptorType)
    )


def _read(member: MemberDescriptorType, value: Any) -> Any:
    try:
        return member.__get__(value)
    except AttributeError:
        return _EMPTY
