"""--fix of `varshift check`: the patch, and what is no code to patch."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varshift._cli.check_answer import repository
from varshift._cli.output import put, say, stdout, written
from varshift._files import replacing
from varshift._visible import visible
from varshift.errors import UsageError

if TYPE_CHECKING:
    from varshift._rewrite.constructing import Constructions
    from varshift.results import Findings

__all__ = ["fix_of", "write_fix"]


def fix_of(fix: str | None, fix_with: str | None) -> str:
    """How to fix: what --fix-with says. Refuses what does not go together, before any work."""
    from varshift._check.fixing import HOW

    if fix_with is not None and fix_with not in HOW:
        raise UsageError(f"--fix-with {fix_with!r} is none of {', '.join(HOW)}")
    if fix_with is not None and fix is None:
        raise UsageError(f"--fix-with {fix_with} says how to fix: give --fix FILE, or --fix - too")
    if fix not in (None, "-"):
        written("--fix", fix)
    return fix_with or HOW[0]


def write_fix(
    model: Any,
    lent: dict[str, Any],
    found: Findings,
    place: str,
    how: str,
    built: Constructions,
) -> None:
    """The patch to a file or standard output; what is no code to patch on standard error."""
    from varshift._check.fixing import fix

    data = lent.get("data")
    example = lent["example"] if data is None else next(iter(data() if callable(data) else data))
    made = fix(
        model,
        found,
        example,
        how=how,
        data=data,
        forward=lent["forward"],
        built=built,
        root=repository(),
    )
    for step in made.steps:
        say(f"fix: {step}")
    if place == "-":
        # A patch is to be applied, so it is as it is, but for a reader.
        put(visible(made.diff) if stdout().isatty() else made.diff)
        if made.diff and made.folder != Path.cwd().resolve():
            say(f"fix: its paths start at {made.folder}: apply it there")
    elif made.diff:
        with replacing(Path(place)) as fresh:
            fresh.write_text(made.diff, encoding="utf-8")
        say(f"fix: patch written, apply it with: {_apply(made.folder, place)}")
    if not made.diff:
        say("fix: no code to patch, nothing was written")


def _apply(folder: Path, patch: str) -> str:
    if folder == Path.cwd().resolve():
        return shlex.join(["git", "apply", "-p0", patch])
    return shlex.join(["git", "-C", str(folder), "apply", "-p0", str(Path(patch).resolve())])
