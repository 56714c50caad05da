"""The command `varshift` itself: what it offers, its version, and how its errors end."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from varshift._cli.check import check
from varshift._cli.demo_command import demo
from varshift._cli.explain import explain
from varshift._cli.footprint import footprint
from varshift._cli.inspect import inspect
from varshift._cli.measure import measure
from varshift._cli.output import say
from varshift._cli.predict import predict
from varshift._cli.repair import repair
from varshift._cli.reproduce import reproduce
from varshift._cli.theory import theory
from varshift._cli.wording import worded
from varshift._version import __version__
from varshift.errors import LentError, VarshiftError

__all__ = ["app", "main"]

_INTERRUPTED = 130

app = typer.Typer(
    add_completion=True,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Find, measure and repair the variance shift that dropout causes at BatchNorm.",
    epilog="Exit codes: 0 fine, 1 findings, 2 usage, 3 the model or the data failed.",
)
for _command in (demo, check, inspect, measure, explain, predict, footprint, repair, reproduce):
    app.command()(_command)
app.add_typer(theory, name="theory")


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    if version:
        print(f"varshift {__version__}")
        raise typer.Exit


def main() -> None:
    """The entry point: an error becomes a sentence on stderr and its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal or a pipe in ASCII must not cost the answer: Δ is written as \u0394 there.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    debug = "--debug" in sys.argv
    try:
        app()
    except VarshiftError as error:
        if debug:
            raise
        say(f"error: {worded(error, _asked())}")
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        _say_interrupted()
        raise SystemExit(_INTERRUPTED) from None
    except SystemExit as leaving:
        if leaving.code == _INTERRUPTED:  # typer takes the interrupt itself, and says nothing
            _say_interrupted()
        raise
    except Exception as error:
        if debug:
            raise
        # The verbs turn what models raise into sentences; what is left came out of a data loader.
        say(f"error: {type(error).__name__}: {error} (--debug shows where)")
        raise SystemExit(LentError.exit_code) from None


def _asked() -> str:
    return sys.argv[1] if len(sys.argv) > 1 else ""


def _say_interrupted() -> None:
    # A reproduction saves its state every few seconds; all else is written at the very end.
    what = "the same command goes on where it was" * (_asked() == "reproduce")
    print(f"interrupted: {what or 'nothing was written'}", file=sys.stderr)
