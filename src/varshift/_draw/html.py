"""What a notebook shows of a result: its account, escaped, without script and in no colours.

The notebook's own colours, light or dark, are inherited; styles say only how wide and how bold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape

from varshift._base import Result
from varshift._draw.accounts import Account, Cell, Name, Sheet, Words, plain_sheet, told
from varshift._draw.accounts.shifts import routes
from varshift._draw.names import fitted
from varshift.results import Structure

__all__ = ["fragment"]

_MOST = 100  # rows; a notebook is not the place for a thousand
_LONG = 40  # columns of a name; the rest is in its title
_SAID = 400  # of a sentence: a name may be of any length
_BOLD = ' style="font-weight:bold"'
_CELL = "text-align:left;white-space:nowrap"


def fragment(result: Result) -> str:
    """What the result says of itself: a sentence, its tables, what they mean, and its notes."""
    said = told(result, _MOST)
    if isinstance(result, Structure) and result.routes:
        said = replace(said, sheets=[plain_sheet(routes(result, _MOST))])
    return "".join(
        (
            _head(said),
            *map(_sheet, said.sheets),
            *(_paragraph(line) for line in (*said.lines, *([said.next] if said.next else []))),
            _listed(said.notes),
        )
    )


def _head(said: Account) -> str:
    head = f"<p{_BOLD}>{escape(_cut(said.head))}</p>" if said.head else ""
    return head + (_paragraph(said.detail) if said.detail else "")


def _paragraph(text: str) -> str:
    return f"<p>{escape(_cut(text))}</p>"


def _cut(text: str) -> str:
    return text if len(text) <= _SAID else f"{text[:_SAID]}…"


def _listed(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(_cut(note))}</li>" for note in dict.fromkeys(notes))
    return f"<ul>{items}</ul>" if items else ""


def _sheet(sheet: Sheet) -> str:
    title = _paragraph(sheet.title) if sheet.title else ""
    if sheet.selection:
        title += _paragraph(f"{sheet.selection}:")
    head = "".join(f'<th style="{_CELL}">{escape(heading)}</th>' for heading in sheet.headings)
    columns = [
        _column([row.cells[index] for row in sheet.rows]) for index in range(len(sheet.headings))
    ]
    body = "".join(
        f"<tr{_BOLD if row.marked else ''}>{''.join(column[index] for column in columns)}</tr>"
        for index, row in enumerate(sheet.rows)
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    if sheet.left_off:
        table += f"<p>… and {sheet.left_off} more rows: to_frame() has all</p>"
    return f'{title}<div class="wide" style="overflow-x:auto">{table}</div>'


def _column(column: Sequence[Cell]) -> list[str]:
    """The cells of one column: names are cut together, so that no two come out alike."""
    names = [cell for cell in column if isinstance(cell, Name)]
    cut = fitted(dict.fromkeys(name.text for name in names), _LONG)
    return [
        _named(cell, cut[cell.text]) if isinstance(cell, Name) else _said(cell) for cell in column
    ]


def _named(cell: Name, cut: str) -> str:
    title = f' title="{escape(cell.text)}"' if cut != cell.text else ""
    text = escape(f"{cell.before}{cut}{cell.after}")
    return f'<td style="{_CELL}"{title}>{text}</td>'


def _said(cell: str | Words) -> str:
    if isinstance(cell, Words):
        return f'<td style="text-align:left">{escape(_cut(cell.text))}</td>'
    return f'<td style="{_CELL}">{escape(cell)}</td>'
