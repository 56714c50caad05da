"""The pages of the rules, as they are written in Markdown: blocks of plain values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Span", "TextBlock", "blocks"]

_SPAN = re.compile(r"`(?P<code>[^`]+)`|\[(?P<words>[^\]]+)\]\((?P<link>[^)\s]+)\)")


@dataclass(frozen=True)
class Span:
    """Words, code, or a link."""

    text: str
    kind: Literal["words", "code", "link"] = "words"
    link: str = ""


@dataclass(frozen=True)
class TextBlock:
    """A heading, a paragraph, a point of a list, or lines of code as they are."""

    kind: Literal["heading", "paragraph", "point", "code"]
    spans: Sequence[Span]


def blocks(markdown: str) -> Iterator[TextBlock]:
    r"""What the pages of the rules use of Markdown; all else stays as it is written.

    >>> [block.kind for block in blocks("Text of `two`\nlines.\n\n## Why\n\n    Δ = 1\n")]
    ['paragraph', 'heading', 'code']
    """
    for paragraph in _paragraphs(markdown.splitlines()):
        first = paragraph[0]
        if first.startswith("```"):
            yield TextBlock("code", [Span("\n".join(paragraph[1:-1]))])
        elif first.startswith("    "):
            yield TextBlock("code", [Span("\n".join(line[4:] for line in paragraph))])
        elif first.startswith("#"):
            yield TextBlock("heading", list(_spans(first.lstrip("# "))))
        elif first.startswith(("* ", "- ")):
            for point in re.split(r"\n[*-] ", "\n" + "\n".join(paragraph))[1:]:
                yield TextBlock("point", list(_spans(" ".join(point.split()))))
        else:
            yield TextBlock("paragraph", list(_spans(" ".join(paragraph))))


def _paragraphs(lines: Sequence[str]) -> Iterator[list[str]]:
    """Lines between empty ones; a fence is one paragraph with all that is in it."""
    held: list[str] = []
    for line in lines:
        fenced = bool(held) and held[0].startswith("```")
        if fenced or line.strip():
            held.append(line)
        if held and (line == "```" if fenced else not line.strip()):
            yield held
            held = []
    if held:
        yield held if not held[0].startswith("```") else [*held, "```"]


def _spans(text: str) -> Iterator[Span]:
    end = 0
    for found in _SPAN.finditer(text):
        if found.start() > end:
            yield Span(text[end : found.start()])
        if found["code"]:
            yield Span(found["code"], "code")
        elif found["link"].startswith(("https://", "http://")):
            yield Span(found["words"], "link", found["link"])
        else:
            yield Span(found["words"])
        end = found.end()
    if end < len(text):
        yield Span(text[end:])
