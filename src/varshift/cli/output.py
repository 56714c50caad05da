"""How a command answers: as a table, as JSON, as a page; and with which exit code."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from varshift.errors import UsageError

if TYPE_CHECKING:
    from varshift.results import Result

__all__ = ["FORMATS", "draw", "finish", "known", "show", "write"]

FORMATS = ("text", "json", "html")


def known(format: str, formats: tuple[str, ...]) -> None:
    """Refuse a format before any work is done for it."""
    if format not in formats:
        raise UsageError(f"--format {format!r} is none of {', '.join(formats)}")


def show(result: Result, format: str, out: str | None, notes: tuple[str, ...]) -> None:
    """The result in the format asked for; notes on standard error, JSON stays alone."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if format == "json":
        write(json.dumps(result.to_dict(), allow_nan=False, indent=1), out)
    elif format == "html":
        if out is None:
            raise UsageError("--format html needs --out FILE.html")
        result.to_html(out)
    else:
        draw(result.table(), out)


def write(text: str, out: str | None) -> None:
    """Text to standard output or into a file."""
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
        with open(out, "w", encoding="utf-8") as file:
            Console(file=file, width=80).print(drawn)


def finish(found: bool, exit_zero: bool) -> None:
    """Exit with 1 where something was found."""
    if found and not exit_zero:
        raise typer.Exit(1)
