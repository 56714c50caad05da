"""Everything that follows from records, written into a folder: page, pictures, JSON lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from varshift._draw.document import Document, StepText
from varshift._draw.markdown import markdown, pictures
from varshift._draw.pictures.matplotlib import png
from varshift._files import replacing
from varshift.reproduce.book import Book
from varshift.reproduce.records import write_lines

__all__ = ["write_page"]


def write_page(
    made: Document, books: Sequence[Book], folder: Path, again: str, source: Path | None = None
) -> None:
    """README.md with every table and verdict, a picture per experiment, records.jsonl.

    `again` is the command that makes the page from the records; it stands at its top. Where the
    records come from that very file, their `source`, it stays: it may hold those of other scales.
    """
    lines = folder / "records.jsonl"
    if source is None or source.resolve() != lines.resolve():
        write_lines(lines, [one for book in books for one in (*book.records, *book.failed)])
    for name, picture in pictures(made):
        with replacing(folder / name) as fresh:
            fresh.write_bytes(png(picture))
    told = replace(made, steps=[StepText("Rebuilt from records.jsonl by:", command=again)])
    with replacing(folder / "README.md") as fresh:
        fresh.write_text(f"<!-- written by `{again}` -->\n\n{markdown(told)}", "utf-8")
