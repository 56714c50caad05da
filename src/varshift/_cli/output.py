"""How a command answers: as a table, as JSON, as a page, or both; and with which exit code."""

from __future__ import annotations

import io
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from varshift._cli.wording import in_options
from varshift._files import is_stream, replacing
from varshift._visible import harmless, visible
from varshift.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from varshift._base import Result

__all__ = ["FORMATS", "Report", "draw", "finish", "known", "say", "show", "write", "written"]

FORMATS = ("text", "json", "html")

_WIDTH = 80  # of what is piped or written to a file: it has no width of its own
_PIPE_CLOSED = 141  # as a shell says of a process that SIGPIPE ended; 1 would read as findings

Report = Annotated[
    str | None, typer.Option(metavar="FILE.html", help="write a page with pictures there as well")
]


def known(
    format: str,
    formats: tuple[str, ...],
    report: str | None = None,
    out: str | None = None,
) -> None:
    """Refuse a format, or a file that could not be written, before any work is done for it.

    `out` is left out by a command whose --out takes no answer, but weights or a folder.
    """
    if format not in formats:
        raise UsageError(f"--format {format!r} is none of {', '.join(formats)}")
    if report is not None:
        _writable(report)
    if out is not None:
        written("--out", out)
    if format == "html" and out is None and report is None:
        raise UsageError("--format html needs --out FILE.html, or --report FILE.html")


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
        say(f"note: {note}")
    if format == "json":
        write(json.dumps(result.to_dict(), allow_nan=False, indent=1), out)
    elif out is not None and (format == "html" or _page(out)):
        result.to_html(out)
    elif format != "html":  # whose page is at `report`, else `known` refused it
        draw(in_options(result).table(), out)
    if report is not None:
        result.to_html(report)
        say(f"the report is in {report}")


def _page(path: str) -> bool:
    return Path(path).suffix.lower() in (".html", ".htm")


def _writable(report: str) -> None:
    if not _page(report) and not is_stream(Path(report)):
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


def say(text: str) -> None:
    """A sentence on standard error; what others' names and messages hold moves and commands none.

    A message of several lines goes on indented, so that none of them passes for one of ours.
    """
    lines = visible(text).splitlines() or [""]
    print(harmless("\n  ".join(lines)), file=sys.stderr)


def write(text: str, out: str | None, *, commands: bool = False) -> None:
    """Text to standard output or into a file, which is written whole or left as it was.

    With `commands` it is commands to a runner of workflows, whose names have been escaped.
    """
    text = text if commands else harmless(text)
    # A name may hold half a surrogate pair, which no encoding has: it becomes "?".
    text = text.encode("utf-8", errors="replace").decode("utf-8") + "\n"
    if out is not None:
        with replacing(Path(out)) as fresh:
            fresh.write_text(text, encoding="utf-8")
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()  # here, where it can still be told from findings
    except BrokenPipeError:
        # What is left in the buffer has nowhere to go, and Python would complain of that at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(_PIPE_CLOSED) from None


def draw(drawn: Any, out: str | None, *, to_stderr: bool = False) -> None:
    """A renderable of rich to a terminal; else 80 columns wide, without blanks at line ends."""
    from rich.console import Console

    console = Console(stderr=to_stderr)
    if out is None and console.is_terminal:
        console.print(drawn)
        return
    encoding = "utf-8" if out is not None else sys.stdout.encoding or "utf-8"
    # Rich draws other rules where the encoding has no box characters.
    held = io.TextIOWrapper(io.BytesIO(), encoding, "backslashreplace", newline="\n")
    Console(file=held, width=_WIDTH, force_terminal=False).print(drawn)
    held.seek(0)
    text = "\n".join(line.rstrip() for line in held.read().splitlines())
    if to_stderr and out is None:
        print(harmless(text), file=sys.stderr)
    else:
        write(text, out)


def finish(found: bool, exit_zero: bool) -> None:
    """Exit with 1 where something was found."""
    if found and not exit_zero:
        raise typer.Exit(1)
