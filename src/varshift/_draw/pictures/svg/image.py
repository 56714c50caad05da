"""From marks to text: an element for a page that has the style, or an image with its own."""

from __future__ import annotations

import re
from html import escape
from importlib import resources

from varshift._draw.pictures.colours import variables
from varshift._draw.pictures.svg.canvas import Canvas, Mark
from varshift._visible import visible

__all__ = ["STYLE", "element", "image"]

STYLE = (resources.files(__package__) / "marks.css").read_text(encoding="utf-8")
"""How marks look; it needs the `variables` of the colours."""

_LONG = 300  # characters of what a picture is about: a name in it may have any length
_NO_TEXT = re.compile("[\ud800-\udfff\ufffe\uffff]")  # no encoding, or no XML, has these


def element(canvas: Canvas) -> str:
    """The picture as `<svg>`, to be styled by `STYLE`.

    >>> canvas = Canvas(100, 50, "one dot")
    >>> canvas.dot(10, 20, "train", hint="a < b")
    >>> print(element(canvas))
    <svg xmlns="http://www.w3.org/2000/svg" class="varshift" viewBox="0 0 100 50" width="100" \
height="50" role="img" aria-label="one dot"><circle class="train" cx="10" cy="20" r="3.5">\
<title>a &lt; b</title></circle></svg>
    """
    return _drawn(canvas, "")


def image(canvas: Canvas) -> str:
    """The same with its style inside, for light and dark screens: it needs nothing around it."""
    return _drawn(canvas, f"<style>{variables('svg.varshift')}{STYLE}</style>")


def _drawn(canvas: Canvas, style: str) -> str:
    about = _text(canvas.about[:_LONG])
    wide, high = f"{canvas.width:.0f}", f"{canvas.height:.0f}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="varshift" viewBox="0 0 {wide} {high}" '
        f'width="{wide}" height="{high}" role="img" aria-label="{about}">'
        f"{style}{''.join(map(_mark, canvas.marks))}</svg>"
    )


def _mark(mark: Mark) -> str:
    attributes = "".join(f' {name}="{_text(value)}"' for name, value in mark.attributes.items())
    hint = f"<title>{_text(mark.hint)}</title>" if mark.hint else ""
    inside = hint + _text(mark.text)
    return f"<{mark.tag}{attributes}" + (f">{inside}</{mark.tag}>" if inside else "/>")


def _text(words: str) -> str:
    return escape(_NO_TEXT.sub("\ufffd", visible(words)))
