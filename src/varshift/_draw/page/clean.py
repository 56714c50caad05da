"""Texts as short as a page has room for."""

from __future__ import annotations

__all__ = ["clipped"]

_LONG = 600  # characters of a sentence: a name in it may have any length


def clipped(text: str) -> str:
    """The beginning and the end of a text that is too long to read."""
    if len(text) <= _LONG:
        return text
    return f"{text[: _LONG - 200]} … {text[-200:]}"
