"""The page itself: templates with every value escaped, style and script inside the file."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from varshift._base import Result
from varshift._draw.document import Document
from varshift._draw.documents import document
from varshift._draw.page.clean import clipped
from varshift._draw.page.provenance import provenance
from varshift._draw.page.view import view_of, view_of_two
from varshift._draw.page.words import WORDS
from varshift._draw.pictures.colours import variables
from varshift._draw.pictures.svg import STYLE
from varshift._files import replacing
from varshift._visible import visible
from varshift.errors import MissingExtraError
from varshift.results.catalogue import DOCUMENTATION

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["render", "write_html"]

_TEMPLATES = "templates"
_STYLES = ("page.css", "parts.css", "tree.css", "print.css")
_SCRIPTS = ("tables.js", "tree.js", "pictures.js", "copying.js", "calculator.js")


def write_html(result: Result, path: Path, beside: Result | None = None) -> Path:
    """Write the page beside its place and move it there, so that no half page is left behind."""
    page = render(
        _of_its_model(result), _title(result), None if beside is None else _of_its_model(beside)
    )
    with replacing(path) as fresh:
        # A name may hold half a surrogate pair, which no encoding has: it becomes "?".
        fresh.write_bytes(page.encode("utf-8", errors="replace"))
    return path


def render(document: Document, title: str, beside: Document | None = None) -> str:
    """The page as text: one file, nothing fetched from anywhere.

    With `beside`, the result from before a change, the two stand side by side.
    """
    template = _template()
    script = "\n".join(map(_asset, _SCRIPTS))
    view = view_of(document) if beside is None else view_of_two(beside, document)
    return template.render(
        title=title if beside is None else f"{title}, before and after",
        view=view,
        words=WORDS,
        documentation=DOCUMENTATION,
        provenance={**view.facts, **provenance(view.facts)},
        style="\n".join((variables(), STYLE, *map(_asset, _STYLES))),
        script=script,
        script_hash=_hash(script),
    )


def _title(result: Result) -> str:
    """What it is and of which model: two reports in a folder must differ."""
    model = _subject(result).partition(",")[0]
    name = type(result).__name__
    return f"{name} of {model}" if model else name


def _of_its_model(result: Result) -> Document:
    """The result's document; its facts begin with the model."""
    made = document(result)
    subject = _subject(result)
    return replace(made, facts={"model": subject, **made.facts}) if subject else made


def _subject(result: Result) -> str:
    """The model in a few words, from the result or from the structure that it holds."""
    held = (result, *(getattr(result, name, None) for name in ("structure", "after")))
    return next((found for one in held if (found := getattr(one, "subject", ""))), "")


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
