"""What a notebook shows of a result: its table and its notes, escaped, without script or style."""

from __future__ import annotations

from html import escape
from typing import Any

from varshift.results import Result

__all__ = ["fragment"]

_MOST = 100  # rows; a notebook is not the place for a thousand
_LONG = 120  # characters of a cell; the rest is in its title


def fragment(result: Result) -> str:
    """What the result says of itself, its table and its notes, as a notebook shows them."""
    rows = result.rows()
    headings = list(rows[0]) if rows else []
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(
        "<tr>" + "".join(_cell(row[heading]) for heading in headings) + "</tr>"
        for row in rows[:_MOST]
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in getattr(result, "notes", ()))
    listed = f"<ul>{notes}</ul>" if notes else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    if len(rows) > _MOST:
        table += f"<p>… and {len(rows) - _MOST} more rows: to_frame() has all</p>"
    reason = getattr(result, "reason", "")
    said = f"<p>{escape(reason)}</p>" if reason else ""
    return f'{said}<div class="wide">{table if rows else "<p>nothing found</p>"}</div>{listed}'


def _cell(value: Any) -> str:
    if value is None or isinstance(value, float):
        return f"<td>{'—' if value is None or value != value else f'{value:.4g}'}</td>"
    text = (", ".join(map(str, value)) or "—") if isinstance(value, list) else str(value)
    if len(text) <= _LONG:
        return f"<td>{escape(text)}</td>"
    return f'<td title="{escape(text)}">…{escape(text[-_LONG:])}</td>'
