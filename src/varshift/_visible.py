"""Texts as they may be shown: nothing in a name moves, hides or commands what stands beside it."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

__all__ = ["flat", "harmless", "visible"]

# Control characters, directions and other formats, and separators of lines and paragraphs.
_SHOWN = ("Cc", "Cf", "Zl", "Zp")
# What a runner of workflows takes for a command: `::` where a line begins, `##[` anywhere.
_COMMAND = re.compile(r"^(\s*):(?=:)", re.MULTILINE)


def visible(value: Any) -> Any:
    r"""Control and direction characters of a text as their numbers, but for line feeds.

    A right-to-left override in a module's name would turn the words beside it around.

    >>> print(visible("layer\u202e.bn"))
    layer\u202e.bn
    """
    if type(value) is not str or value.isprintable():
        return value
    return "".join(letter if letter == "\n" else _numbered(letter) for letter in value)


def flat(text: str) -> str:
    r"""The same with line feeds as numbers too: a name is never more than one line.

    >>> print(flat("bn\n::error::\x1b[2J"))
    bn\n::error::\x1b[2J
    """
    return text if text.isprintable() else "".join(map(_numbered, text))


def harmless(text: str) -> str:
    r"""Lines for an output that somebody may read as commands, as GitHub's runners do.

    >>> print(harmless("::error::gone wrong"))
    \x3a:error::gone wrong
    """
    return _COMMAND.sub(r"\1\\x3a", text).replace("##[", "#\\u0023[")


def _numbered(letter: str) -> str:
    if unicodedata.category(letter) not in _SHOWN:
        return letter
    return letter.encode("unicode_escape").decode("ascii")
