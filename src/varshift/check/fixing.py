"""From findings to a patch: what `relocate` or `replace` would change, as a diff and in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from varshift.check.results import Findings
from varshift.errors import UsageError
from varshift.lending import Data, Forward
from varshift.repair import Patch, Rewrite, relocate, replace
from varshift.repair.rewriting.edits import united_diff

__all__ = ["HOW", "Fix", "fix"]

HOW = ("relocate", "uout", "gaussian", "dropout", "channel")


@dataclass(frozen=True)
class Fix:
    """A unified diff for `git apply -p0` ("" where there is nothing to patch), and what to do."""

    diff: str
    steps: tuple[str, ...]


def fix(
    model: nn.Module,
    found: Findings,
    example: Any,
    *,
    how: str = "relocate",
    data: Data | None = None,
    forward: Forward | None = None,
) -> Fix:
    """The change that `relocate` makes, or `replace` by less noise of that law. Undone at once.

    Noise that is drawn by a line inside the current folder comes back as a diff; layers, and noise
    drawn inside a library, as sentences.
    """
    if how not in HOW:
        raise UsageError(f"fix with {how!r} is none of {', '.join(HOW)}")
    noises = {name for finding in found for name in finding.noises}
    if not noises:
        return Fix("", ("nothing found that another noise would change",))
    if how == "relocate":
        rewrite = relocate(model, example, forward=forward)
    else:
        rewrite = replace(
            model,
            example,
            dict.fromkeys(sorted(noises), how),
            max_severity=max(found.max_severity, 1.001),  # replace asks for more than 1
            data=data,
            forward=forward,
        )
    try:
        own = [patch for patch in rewrite.patches if patch.new is not None and _own(patch)]
        diff = united_diff([patch._source for patch in own if patch._source is not None])
        return Fix(diff, tuple(dict.fromkeys(_steps(rewrite, own))))
    finally:
        rewrite.undo()


def _own(patch: Patch) -> bool:
    """Whether the line is the user's to change: inside the current folder, in no environment."""
    if patch.line is None:
        return False
    path = Path(patch.line.file).resolve()
    return path.is_relative_to(Path.cwd().resolve()) and "site-packages" not in path.parts


def _steps(rewrite: Rewrite, own: list[Patch]) -> Iterator[str]:
    for change in rewrite.changes:
        yield f"{change.path}: {change.before} → {change.after}, where it is constructed"
    if rewrite.added is not None:
        row = next(row for row in rewrite.rows() if row["how"] == "added")
        yield f"{rewrite.added}: put {row['after']} right before it"
    for patch in rewrite.patches:
        if patch in own:
            if patch.why:
                yield f"{patch.noise}: {patch.why}"
        elif patch.line is not None and not _own(patch):
            where = str(patch.line).rsplit("site-packages/", 1)[-1]
            yield f"{patch.noise}: drawn at {where}, a library: set its rate where you construct it"
        else:
            yield f"{patch.noise}: {patch.why or 'change it by hand'}"
