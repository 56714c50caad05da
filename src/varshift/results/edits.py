"""Changes to a source file, and the unified diff that says them."""

from __future__ import annotations

import difflib
import io
import linecache
import os
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SourceText", "TextEdit", "lines_of", "read_source", "united_diff"]


@dataclass(frozen=True, order=True)
class TextEdit:
    """The characters from `start` to `end` of a text become `text`."""

    start: int
    end: int
    text: str

    def collides(self, other: TextEdit) -> bool:
        """Whether both want the same characters, or the same place, for different texts."""
        if self.start == self.end == other.start == other.end:
            lines = self.text.endswith("\n") and other.text.endswith("\n")  # two imports
            return self.text != other.text and not lines
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True)
class SourceText:
    """A file's text as it is, and the edits asked of it."""

    file: str
    text: str
    edits: tuple[TextEdit, ...]

    def edited(self) -> str:
        """The text with all edits made."""
        text = self.text
        for edit in sorted(self.edits, reverse=True):
            text = text[: edit.start] + edit.text + text[edit.end :]
        return text


def lines_of(text: str) -> list[str]:
    """Lines as Python's parser counts them, with their own line ends."""
    return io.StringIO(text, newline="").readlines()


def read_source(file: str) -> str | None:
    """The file's text with its own line ends, or what was typed at a prompt; None if neither."""
    try:
        with Path(file).open("rb") as held:
            encoding, _ = tokenize.detect_encoding(held.readline)
        with Path(file).open(encoding=encoding, newline="") as held:
            return held.read()
    except (OSError, SyntaxError, UnicodeDecodeError):
        return "".join(linecache.getlines(file)) or None


def united_diff(sources: Iterable[SourceText]) -> str:
    """One diff, each file once. Of edits that collide the first is made."""
    files: dict[str, SourceText] = {}
    for source in sources:
        held = files.setdefault(source.file, SourceText(source.file, source.text, ()))
        fresh = [edit for edit in source.edits if edit not in held.edits]
        if not any(one.collides(other) for one in held.edits for other in fresh):
            files[source.file] = SourceText(held.file, held.text, (*held.edits, *fresh))
    return "".join(_diff(source) for source in files.values())


def _diff(source: SourceText) -> str:
    name = _shown(source.file)
    pieces = difflib.unified_diff(lines_of(source.text), lines_of(source.edited()), name, name)
    return "".join(_ended(piece) for piece in pieces)


def _ended(piece: str) -> str:
    return piece if piece.endswith("\n") else f"{piece}\n\\ No newline at end of file\n"


def _shown(file: str) -> str:
    path = os.path.relpath(file) if os.path.isabs(file) else file
    return file if path.startswith(os.pardir) else path.replace(os.sep, "/")
