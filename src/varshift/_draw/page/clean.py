"""Texts as a page may show them: nothing in a name moves or hides what stands beside it."""

from __future__ import annotations

import unicodedata
from typing import Any

__all__ = ["brief", "clipped", "visible"]

_LONG = 600  # characters of a sentence: a name in it may have any length


def visible(value: Any) -> Any:
    r"""Control and direction characters of a text as their numbers; else as it is.

    A right-to-left override in a module's name would turn the page's own words around.

    >>> print(visible("layer\u202e.bn"))
    layer\u202e.bn
    """
    if type(value) is not str or value.isprintable():
        return value
    return "".join(
        letter
        if letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cf")
        else _said(letter)
        for letter in value
    )


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


def _said(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
