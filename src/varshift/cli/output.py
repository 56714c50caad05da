"""How a command answers: as a table, as JSON, as a page, or both; and with which exit code."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from varshift.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from varshift.results import Result

__all__ = ["FORMATS", "Report", "draw", "finish", "known", "show", "write", "written"]

FORMATS = ("text", "json", "html")

Report = Annotated[
    str | None, typer.Option(metavar="FILE.html", help="write a page with pictures there as well")
]


def known(format: str, formats: tuple[str, ...], report: str | None = None) -> None:
    """Refuse a format, or a page that could not be written, before any work is done for it."""
    if format not in formats:
        raise UsageError(f"--format {format!r} is none of {', '.join(formats)}")
    if report is not None:
        _writable(report)


def show(
    result: Result,
    format: str,
    out: str | None,
    notes: tuple[str, ...],
    report: str | None = None,
) -> None:
    """The result in the format asked for, and as a page at `report`.

    Notes, and where the page is, on standard error: JSON stays alone. A text that goes to a file
    named as a page becomes one.
    """
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if format == "json":
        write(json.dumps(result.to_dict(), allow_nan=False, indent=1), out)
    elif out is not None and (format == "html" or _page(out)):
        result.to_html(out)
    elif format == "html":
        if report is None:
            raise UsageError("--format html needs --out FILE.html")
    else:
        draw(result.table(), out)
    if report is not None:
        result.to_html(report)
        print(f"the report is in {report}", file=sys.stderr)


def _page(path: str) -> bool:
    return Path(path).suffix.lower() in (".html", ".htm")


def _writable(report: str) -> None:
    if not _page(report):
        raise UsageError(f"--report {report!r} is a page: give it a name that ends in .html")
    written("--report", report)
    if find_spec("jinja2") is None:
        raise MissingExtraError("jinja2", "report", "--report")


def written(option: str, path: str) -> None:
    """Refuse a file that has no folder to go into, before any work is done for it."""
    if not Path(path).absolute().parent.is_dir():
        raise UsageError(f"{option} {path!r}: there is no folder {str(Path(path).parent)!r}")
    if Path(path).is_dir():
        raise UsageError(f"{option} {path!r} is a folder: give it the name of a file")


def write(text: str, out: str | None) -> None:
    """Text to standard output or into a file."""
    # A name may hold half a surrogate pair, which no encoding has: it becomes "?".
    text = text.encode("utf-8", errors="replace").decode("utf-8")
    if out is None:
        print(text)
    else:
        Path(out).write_text(text + "\n", encoding="utf-8")


def draw(drawn: Any, out: str | None) -> None:
    """A renderable of rich to standard output or, 80 columns wide, into a file."""
    from rich.console import Console

    if out is None:
        console = Console()
        # Piped output has no width of its own; 80 columns are what the tables are made for.
        Console(width=console.width if console.is_terminal else 80).print(drawn)
    else:
        with open(out, "w", encoding="utf-8", errors="replace") as file:
            Console(file=file, width=80).print(drawn)


def finish(found: bool, exit_zero: bool) -> None:
    """Exit with 1 where something was found."""
    if found and not exit_zero:
        raise typer.Exit(1)
