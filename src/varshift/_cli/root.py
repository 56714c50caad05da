"""The command `varshift` itself: what it offers, its version, and how its errors end."""

from __future__ import annotations

import io
import os
import re
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from varshift._cli.check import check
from varshift._cli.command import SETTINGS, add_command, epilog
from varshift._cli.demo_command import demo
from varshift._cli.diagnose import diagnose
from varshift._cli.explain import explain
from varshift._cli.footprint import footprint
from varshift._cli.inspect import inspect
from varshift._cli.measure import measure
from varshift._cli.output import PipeClosed, emptied, let_go, put, say
from varshift._cli.predict import predict
from varshift._cli.ranks import Ending, OtherRankFailed, ranked
from varshift._cli.recalibrate import recalibrate
from varshift._cli.repair import repair
from varshift._cli.reproduce import reproduce
from varshift._cli.theory import theory
from varshift._cli.wording import whence, worded
from varshift._version import __version__
from varshift.errors import LentError, VarshiftError

__all__ = ["app", "main"]

_INTERRUPTED = 130
_ALONE = ("demo", "reproduce", "theory")  # commands that have no use for several ranks
_ECHO = re.compile(r"rank \d+ failed \(|the ranks have (parted|lost)")  # of the engine's exchanges
_KEYWORDS, _KEYWORD = "--model-kwargs", re.compile(r"[^\W\d]\w*=")

app = typer.Typer(
    add_completion=True,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
    help="Find, measure and repair the variance shift that dropout causes at BatchNorm.",
    epilog="Exit codes: 0 fine, 1 findings, 2 usage, 3 the model or the data failed.\n\n"
    + epilog(
        "varshift demo",
        "varshift diagnose net.py:make --checkpoint weights.pt --data data.py:train",
        "varshift check net.py:make --input-shape 3,64,64",
        "varshift repair net.py:make --checkpoint weights.pt --data data.py:train",
    ),
)
for _command in (
    *(diagnose, demo, check, inspect, measure, explain, predict, footprint),
    *(repair, recalibrate, reproduce),
):
    add_command(app, _command)
app.add_typer(theory, name="theory")


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    if version:
        put(f"varshift {__version__}\n")
        raise typer.Exit


def main() -> None:
    """The entry point: an error becomes a sentence on stderr and its exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us: nobody wants to know
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # A terminal or a pipe in ASCII must not cost the answer: Δ is written as \u0394 there.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with ranked(_asked(), _ALONE) as ranks:
        ending = ranks.settled(_ended(several(sys.argv[1:])))
        if ending.sentence:
            say(ending.sentence)
    let_go()
    raise SystemExit(ending.code)


def _ended(arguments: list[str]) -> Ending:
    """Run the command; how it ends."""
    debug, ours = "--debug" in arguments, sys.stdout
    try:
        try:
            app(arguments)
        finally:
            emptied()
    except VarshiftError as error:
        if debug:
            traceback.print_exc(file=sys.__stderr__)
        echo = isinstance(error, OtherRankFailed) or bool(_ECHO.match(str(error)))
        return Ending(error.exit_code, f"error: {worded(error, _asked())}", echo)
    except KeyboardInterrupt:
        return Ending(_INTERRUPTED, _interrupted())
    except SystemExit as leaving:
        if sys.stdout is not ours:  # Typer's own, in place of one that nobody reads: of the help
            return Ending(PipeClosed.CODE)
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        # Typer takes the interrupt itself, and says nothing.
        return Ending(code, _interrupted() if code == _INTERRUPTED else "")
    except BaseException as error:  # a user's own kind too, of which Python's code says findings
        if debug:
            traceback.print_exc(file=sys.__stderr__)
        # The verbs turn what models raise into sentences; what is left came out of a data loader.
        said = f"error: {type(error).__name__}: {error} {whence(error)}"
        return Ending(LentError.exit_code, said)
    return Ending(0)


def several(arguments: list[str]) -> list[str]:
    """The arguments with `--model-kwargs` before each of several that follow one.

    >>> several(["net.py:make", "--model-kwargs", "a=1", "b=2", "--data", "digits"])[1:5]
    ['--model-kwargs', 'a=1', '--model-kwargs', 'b=2']
    """
    found: list[str] = []
    within = False
    for argument in arguments:
        if within and _KEYWORD.match(argument) and found[-1] != _KEYWORDS:
            found.append(_KEYWORDS)
        within = argument == _KEYWORDS or (within and bool(_KEYWORD.match(argument)))
        found.append(argument)
    return found


def _asked() -> str:
    return sys.argv[1] if len(sys.argv) > 1 else ""


def _interrupted() -> str:
    # A reproduction saves its state every few seconds; all else is written at the very end.
    what = "the same command continues" * (_asked() == "reproduce")
    return f"interrupted: {what or 'nothing was written'}"
