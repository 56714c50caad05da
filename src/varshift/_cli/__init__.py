"""The command line. Torch and the rooms below are imported by the command that needs them."""

from __future__ import annotations

import sys

from varshift.errors import MissingExtraError

try:
    import typer as _typer  # noqa: F401
except ImportError:
    _missing = MissingExtraError("typer", "cli", "the varshift command")
    print(f"error: {_missing}", file=sys.stderr)
    raise SystemExit(_missing.exit_code) from None

from varshift._cli.root import app, main

__all__ = ["app", "main"]
