"""How a command answers: as a table, as JSON, as a page, or both; and with which exit code."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

import typer

from varshift._cli.options import ExitZero, Format, Out, Report
from varshift._cli.wording import in_options
from varshift._files import forbidden, is_stream, replacing
from varshift._visible import harmless, visible
from varshift.errors import MissingExtraError, UsageError, WriteError, quoted

if TYPE_CHECKING:
    from varshift._base import Result

__all__ = [
    "Answer",
    "FileAnswer",
    "PipeClosed",
    "apart",
    "draw",
    "emptied",
    "finish",
    "in_files_of_their_own",
    "known",
    "let_go",
    "put",
    "say",
    "show",
    "stdout",
    "takes_weights",
    "write",
    "written",
]

_WIDTH = 80  # of what is piped or written to a file: it has no width of its own
# What commands are lent: code, weights, data, settings.
_INPUTS = frozenset(
    {
        *(".py", ".ipynb", ".toml", ".cfg", ".yaml", ".yml"),
        *(".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".h5", ".keras", ".onnx"),
        *(".npy", ".npz", ".csv", ".parquet"),
    }
)


class PipeClosed(SystemExit):
    """Nobody reads standard output any more. The code is that of a process that SIGPIPE ended."""

    CODE: ClassVar[int] = 141  # 1 would read as findings

    def __init__(self) -> None:
        super().__init__(self.CODE)


_answers: list[TextIO] = []  # standard output, while what others print goes elsewhere


@contextmanager
def apart() -> Iterator[None]:
    """What a lent model, its data and its libraries print goes to standard error.

    So the answer is alone on standard output, whose reader may be a parser.
    """
    _answers.append(stdout())
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _answers.pop()


def stdout() -> TextIO:
    """Standard output, for the answer alone."""
    return _answers[-1] if _answers else sys.stdout


@dataclass(frozen=True)
class Answer:
    """The options by which a command answers; made of refused ones they raise, before any work."""

    FORMATS: ClassVar[tuple[str, ...]] = ("text", "json", "html")

    format: Format = "text"
    report: Report = None

    @property
    def place(self) -> str | None:
        """The file that the answer goes to; None for the terminal."""
        return None

    def __post_init__(self) -> None:
        known(self.format, self.FORMATS)
        if self.report is not None:
            _writable(self.report)
        if self.place is not None:
            written("--out", self.place)
        in_files_of_their_own({"--out": self.place, "--report": self.report})
        if self.format == "html" and self.place is None and self.report is None:
            raise UsageError("--format html needs --out FILE.html, or --report FILE.html")

    def show(self, result: Result) -> None:
        """The result in the format asked for, and as a page at --report."""
        show(result, self.format, self.place)
        self.write_report(result)

    def write_report(self, result: Result) -> None:
        """The page that --report asks for; where it is, on standard error: JSON stays alone."""
        if self.report is not None:
            result.to_html(self.report)
            say(f"the report is in {self.report}")


@dataclass(frozen=True)
class FileAnswer(Answer):
    """An answer that --out writes to a file, and an exit code that says whether anything is found.

    Not of the commands whose --out takes weights.
    """

    out: Out = None
    exit_zero: ExitZero = False

    @property
    def place(self) -> str | None:
        """See `Answer.place`."""
        return self.out


def known(format: str, formats: tuple[str, ...]) -> None:
    """Refuse a format that the command does not have."""
    if format not in formats:
        raise UsageError(f"--format {format!r} is none of {', '.join(formats)}")


def show(result: Result, format: str, out: str | None = None) -> None:
    """The result as text or JSON, or as a page in a file that is asked for, or named, as one."""
    if format == "json":
        write(json.dumps(result.to_dict(), allow_nan=False, indent=1), out)
    elif out is not None and (format == "html" or _page(out)):
        result.to_html(out)
    elif format != "html":  # whose page is at --report, else it was refused
        draw(in_options(result).table(), out)


def _page(path: str) -> bool:
    return Path(path).suffix.lower() in (".html", ".htm")


def _writable(report: str) -> None:
    if not _page(report) and not is_stream(Path(report)):
        raise UsageError(f"--report {report!r} is a page: give it a name that ends in .html")
    written("--report", report)
    if find_spec("jinja2") is None:
        raise MissingExtraError("jinja2", "report", "--report")


def written(option: str, path: str) -> None:
    """Refuse a file that cannot be written, before any work is done for it."""
    # Not by `Path.is_dir`, which raises for a name longer than names may be.
    if not os.path.isdir(Path(path).absolute().parent):
        raise UsageError(f"{option} {quoted(path)}: there is no folder {_folder_of(path)}")
    if os.path.isdir(Path(path)):  # "" is this one
        raise UsageError(f"{option} {quoted(path)} is a folder: give it the name of a file")
    if why := forbidden(path):
        raise UsageError(f"{option} {quoted(path)} cannot be written ({why}): name another place")
    if Path(path).suffix.lower() in _INPUTS and os.path.isfile(path):
        kind = f"a {Path(path).suffix} file, which an answer is not to replace"
        raise UsageError(f"{option} {quoted(path)} is {kind}: give it another name")


def _folder_of(path: str) -> str:
    return quoted(str(Path(path).parent))


def in_files_of_their_own(places: Mapping[str, str | None]) -> None:
    """Refuse two options that name one file: what is written first would be lost."""
    named: dict[str, str] = {}
    for option, place in places.items():
        if place is None or is_stream(Path(place)):
            continue
        other = named.setdefault(os.path.realpath(place), option)
        if other != option:
            raise UsageError(f"{other} and {option} both name {quoted(place)}")


def takes_weights(out: str) -> None:
    """Refuse an --out that weights cannot be written to, before any work is done for them."""
    from varshift._loading import refuse_unwritable

    if not out:
        raise UsageError("--out is empty; name a file for the weights, as in fixed.safetensors")
    refuse_unwritable(out)
    if os.path.isdir(Path(out)):
        raise UsageError(f"--out {out!r} is a folder; name a file in it, as in {out}/fixed.pt")


def say(text: str) -> None:
    """A sentence on standard error; what others' names and messages hold moves and commands none.

    A message of several lines goes on indented, so that none of them passes for one of ours.
    """
    lines = visible(text).splitlines() or [""]
    with suppress(OSError):  # full, or closed: the exit code still tells
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
    put(text)


def put(text: str) -> None:
    """Text to standard output as it is, at once: here a closed pipe can be told from findings."""
    with _unread(stdout()):
        stdout().write(text)
        stdout().flush()


def emptied() -> None:
    """What others have left in standard output's buffer goes out: the help, the version.

    Raises as `put` does where it cannot.
    """
    if sys.__stdout__ is not None and not sys.__stdout__.closed:
        with _unread(sys.__stdout__):
            sys.__stdout__.flush()


def let_go() -> None:
    """What standard error still holds goes out, or nowhere: Python would end with its own code."""
    stream = sys.__stderr__
    if stream is None or stream.closed:
        return
    try:
        stream.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def _unread(stream: TextIO) -> Iterator[None]:
    """Raises PipeClosed where nobody reads any more, WriteError where the disk refuses."""
    try:
        yield
    except OSError as error:
        # What is left in the buffer has nowhere to go, and Python would complain of that at exit.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if isinstance(error, BrokenPipeError):
            raise PipeClosed from None
        raise WriteError("/dev/stdout", error) from error


def draw(drawn: Any, out: str | None, *, to_stderr: bool = False) -> None:
    """A renderable of rich to a terminal; else 80 columns wide, without blanks at line ends."""
    from rich.console import Console

    console = Console(file=sys.stderr if to_stderr else stdout())
    if out is None and console.is_terminal:
        console.print(drawn)
        return
    encoding = "utf-8" if out is not None else stdout().encoding or "utf-8"
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
