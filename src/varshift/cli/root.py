"""The command `varshift` itself: what it offers, its version, and how its errors end."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from varshift import __version__
from varshift.cli.check import check
from varshift.cli.demo import demo
from varshift.cli.explain import explain
from varshift.cli.footprint import footprint
from varshift.cli.inspect import inspect
from varshift.cli.measure import measure
from varshift.cli.predict import predict
from varshift.cli.repair import repair
from varshift.cli.reproduce import reproduce
from varshift.cli.theory import theory
from varshift.errors import LentError, VarshiftError

__all__ = ["app", "main"]

app = typer.Typer(
    add_completion=False,
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
    debug = "--debug" in sys.argv
    try:
        app()
    except VarshiftError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception as error:
        if debug:
            raise
        # The verbs turn what models raise into sentences; what is left came out of a data loader.
        print(f"error: {type(error).__name__}: {error} (--debug shows where)", file=sys.stderr)
        raise SystemExit(LentError.exit_code) from None
