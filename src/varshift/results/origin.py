"""Where in the source a noise comes from, and what that line is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from varshift.results.structure import Line

__all__ = ["LineOf", "OriginLine"]

LineOf = Literal["constructor", "class", "call", "nowhere"]


@dataclass(frozen=True)
class OriginLine:
    """The line to change for another noise, as near to it as is known.

    Attributes:
        line: the line; None where nothing is known, as of a model that is torch all the way.
        line_of: "constructor": it makes the layer, or makes what makes it; "class": of the class
            that holds the layer; "call": it draws the noise; "nowhere": there is no line.

    >>> line = Line("net.py", 12, "__init__", "self.drop = nn.Dropout(0.5)")
    >>> OriginLine(line, "constructor").line_of
    'constructor'
    """

    line: Line | None
    line_of: LineOf
