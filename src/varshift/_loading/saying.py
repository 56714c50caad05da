"""What a library's error says, short enough to stand in a sentence."""

from __future__ import annotations

__all__ = ["first_line"]


def first_line(error: BaseException) -> str:
    r"""The first line of its message.

    >>> first_line(ValueError("no such file\nin any of 12 places")), first_line(ValueError())
    ('no such file', 'no message')
    """
    return (str(error).strip().splitlines() or ["no message"])[0]
