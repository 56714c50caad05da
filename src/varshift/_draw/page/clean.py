"""Texts and figures as short as a page has room for."""

from __future__ import annotations

__all__ = ["brief", "clipped"]

_LONG = 600  # characters of a sentence: a name in it may have any length


def brief(value: float) -> str:
    """A severity beside a name: as many digits as tell something.

    >>> brief(1.0482), brief(46.28), brief(886.2), brief(2.1e15)
    ('1.05', '46.3', '886', '> 1e6')
    """
    if value >= 1e6:
        return "> 1e6"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def clipped(text: str) -> str:
    """The beginning and the end of a text that is too long to read."""
    if len(text) <= _LONG:
        return text
    return f"{text[: _LONG - 200]} … {text[-200:]}"
