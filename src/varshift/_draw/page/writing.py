"""The page itself: templates with every value escaped, style and script inside the file."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from varshift._base import Result
from varshift._draw.page.bodies import body
from varshift._draw.page.clean import clipped
from varshift._draw.page.provenance import provenance
from varshift._draw.page.words import WORDS
from varshift._files import replacing
from varshift._visible import visible
from varshift.errors import MissingExtraError

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["render", "write_html"]

_TEMPLATES = "templates"


def write_html(result: Result, path: Path) -> Path:
    """Write the page beside its place and move it there, so that no half page is left behind."""
    page = render(result)
    with replacing(path) as fresh:
        # A name may hold half a surrogate pair, which no encoding has: it becomes "?".
        fresh.write_bytes(page.encode("utf-8", errors="replace"))
    return path


def render(result: Result) -> str:
    """The page as text: one file, nothing fetched from anywhere."""
    template = _template()
    script = _asset("page.js")
    drawn = body(result)
    return template.render(
        title=_title(result),
        body=drawn,
        notes=list(dict.fromkeys(getattr(result, "notes", ()))),
        words=WORDS,
        provenance=_subject(result) | provenance() | drawn.facts,
        style=_asset("page.css"),
        script=script,
        script_hash=_hash(script),
    )


def _title(result: Result) -> str:
    """What it is and of which model: two reports in a folder must differ."""
    model = _subject(result).get("model", "").partition(",")[0]
    name = type(result).__name__
    return f"{name} of {model}" if model else name


def _subject(result: Result) -> dict[str, str]:
    """The model in a few words, from the result or from the structure that it holds."""
    held = (result, *(getattr(result, name, None) for name in ("structure", "after")))
    said = next((found for one in held if (found := getattr(one, "subject", ""))), "")
    return {"model": said} if said else {}


@cache
def _template() -> Template:
    try:
        import jinja2
    except ImportError as error:
        raise MissingExtraError("jinja2", "report", "to_html()") from error
    kept = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        finalize=visible,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    kept.filters["clipped"] = clipped
    return kept.get_template("page.html.j2")


def _asset(name: str) -> str:
    return (resources.files(__package__) / _TEMPLATES / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """What the page's policy knows its own script by; any other script stays silent."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
