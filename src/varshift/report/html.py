"""One self-contained page: the result's table and notes, escaped, readable offline."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from varshift.files import replacing
from varshift.results import Result

__all__ = ["fragment", "write_html"]

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .75rem; overflow-wrap: anywhere; }
th, td { border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
"""


def fragment(result: Result) -> str:
    """What the result says of itself, its table and its notes, as a notebook shows them."""
    rows = result.rows()
    headings = list(rows[0]) if rows else []
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(row[heading])}</td>" for heading in headings) + "</tr>"
        for row in rows
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in getattr(result, "notes", ()))
    listed = f"<ul>{notes}</ul>" if notes else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    reason = getattr(result, "reason", "")
    said = f"<p>{escape(reason)}</p>" if reason else ""
    return f'{said}<div class="wide">{table if rows else "<p>nothing found</p>"}</div>{listed}'


def write_html(result: Result, path: Path) -> Path:
    """Write the page beside its place and move it there, so that no half page is left behind."""
    title = f"varshift: {type(result).__name__.lower()}"
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>{fragment(result)}</body></html>\n"
    )
    with replacing(path) as fresh:
        fresh.write_text(page, encoding="utf-8")
    return path


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return escape(", ".join(map(str, value))) or "—"
    return "—" if value is None else escape(str(value))
