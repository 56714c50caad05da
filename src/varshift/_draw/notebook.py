"""What a notebook shows of a result: its picture and its tables, escaped, without script.

The notebook's own colours, light or dark, are inherited; the picture brings its own for both.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape

from varshift._base import Result
from varshift._draw.document import Cell, Document, Table
from varshift._draw.documents import document
from varshift._draw.names import fitted
from varshift._draw.pictures.svg import image, svg
from varshift._draw.telling import UNMARKED, ends, graded, meanings, numbered_steps, tables
from varshift._visible import flat

__all__ = ["fragment"]

_MOST = 100  # rows; a notebook is not the place for a thousand
_LONG = 40  # columns of a name; the rest is in its title
_SAID = 400  # characters of a sentence: a name may be of any length
_BOLD = ' style="font-weight:bold"'
_CELL = "text-align:left;white-space:nowrap"


def fragment(result: Result) -> str:
    """The answer, what to do, the picture, the tables, what they mean, and notes."""
    made = document(result)
    shown = tables(made, _MOST)
    return "".join(
        (
            *_head(made),
            *_picture(made),
            *map(_table, shown, meanings(shown)),
            _listed(ends(made)),
        )
    )


def _head(made: Document) -> Iterator[str]:
    grade = f"{graded(made)}. " if graded(made) else ""
    if made.head:
        yield f"<p{_BOLD}>{escape(_cut(flat(grade + made.head)))}</p>"
    if made.detail:
        yield _paragraph(flat(made.detail))
    for words, lines in numbered_steps(made.steps):
        yield _paragraph(words)
        yield from (f"<pre>{escape(line)}</pre>" for line in lines)


def _picture(made: Document) -> Iterator[str]:
    """As an image of its own: nothing of it can meet the notebook's styles or scripts."""
    if made.picture is not None:
        data = b64encode(image(svg(made.picture)).encode("utf-8", "replace")).decode()
        about = escape(flat(made.picture.about))
        yield f'<img style="max-width:100%" alt="{about}" src="data:image/svg+xml;base64,{data}">'


def _paragraph(text: str) -> str:
    return f"<p>{escape(_cut(text))}</p>"


def _cut(text: str) -> str:
    return text if len(text) <= _SAID else f"{text[:_SAID]}…"


def _listed(said: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(_cut(each))}</li>" for each in said)
    return f"<ul>{items}</ul>" if items else ""


def _table(held: Table, meaning: str) -> str:
    title = _paragraph(held.title) if held.title else ""
    if held.selection:
        title += _paragraph(f"{held.selection}:")
    head = "".join(f'<th style="{_CELL}">{escape(column.name)}</th>' for column in held.columns)
    columns = [
        _column([row.cells[index] for row in held.rows]) for index in range(len(held.columns))
    ]
    body = "".join(
        f"<tr{_BOLD if row.tone not in UNMARKED else ''}>"
        f"{''.join(column[index] for column in columns)}</tr>"
        for index, row in enumerate(held.rows)
    )
    drawn = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    left = held.count - len(held.rows)
    if left:
        drawn += f"<p>… and {left} more rows: to_frame() has all</p>"
    below = "".join(map(_paragraph, filter(None, (meaning, *held.below))))
    return f'{title}<div class="wide" style="overflow-x:auto">{drawn}</div>{below}'


def _column(column: Sequence[Cell]) -> list[str]:
    """The cells of one column: names are cut together, so that no two come out alike."""
    cut = fitted(dict.fromkeys(cell.text for cell in column if cell.kind == "name"), _LONG)
    return [_named(cell, cut[cell.text]) if cell.kind == "name" else _said(cell) for cell in column]


def _named(cell: Cell, cut: str) -> str:
    title = f' title="{escape(cell.text)}"' if cut != cell.text else ""
    text = escape(f"{cell.before}{cut}{cell.after}")
    return f'<td style="{_CELL}"{title}>{text}</td>'


def _said(cell: Cell) -> str:
    if cell.kind == "words":
        return f'<td style="text-align:left">{escape(_cut(str(cell)))}</td>'
    return f'<td style="{_CELL}">{escape(str(cell))}</td>'
