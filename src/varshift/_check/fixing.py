"""From findings to a patch: what `relocate` or `replace` would change, as a diff and in words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from varshift._check.own import Ground
from varshift._engine import Data, Forward, is_library, walk
from varshift._inspect.inspecting import inspect
from varshift._rewrite.constructing import Built, Constructions
from varshift._rewrite.constructors import constructor_patch
from varshift._rewrite.relocating import relocate
from varshift._rewrite.replacing import replace
from varshift.errors import UsageError
from varshift.results import Findings, Line, Patch, Rewrite
from varshift.results.edits import SourceText
from varshift.results.structure import in_a_file

__all__ = ["HOW", "Fix", "fix"]

HOW = ("relocate", "uout", "gaussian", "dropout", "channel")


@dataclass(frozen=True)
class Fix:
    """A unified diff ("" where there is nothing to patch), and what to do.

    `git apply -p0` takes it in `folder`: the current one, or the repository's root where a file
    outside of the current one is to change.
    """

    diff: str
    steps: tuple[str, ...]
    folder: Path = Path()


def fix(
    model: nn.Module,
    found: Findings,
    example: Any,
    *,
    how: str = "relocate",
    data: Data | None = None,
    forward: Forward | None = None,
    built: Constructions | None = None,
    root: Path | None = None,
) -> Fix:
    """The change that `relocate` makes, or `replace` by less noise of that law. Undone at once.

    Only the noise behind the findings is changed, and not what was silenced. What a line inside the
    current folder or the repository at `root` draws, or constructs (as far as `built` knows), comes
    back as a diff; the rest, and noise drawn inside a library, as sentences.
    """
    if how not in HOW:
        raise UsageError(f"fix with {how!r} is none of {', '.join(HOW)}")
    noises, others = _noises(model, found, example, forward)
    steps = tuple(
        f"{name}: it moves an output and reaches no norm; put it behind the last nonlinearity"
        for name in others
    )
    if not noises:
        return Fix("", steps or ("no finding comes from noise that could be changed",))
    before = {path: (module, getattr(module, "p", None)) for path, module in walk(model)}
    if how == "relocate":
        rewrite = relocate(model, example, only=noises, forward=forward)
    else:
        rewrite = replace(
            model,
            example,
            dict.fromkeys(sorted(noises), how),
            max_severity=max(found.max_severity, 1.001),  # replace asks for more than 1
            # An untrained model's own statistics say nothing, so the example stands for data.
            data=[example] if data is None else data,
            forward=forward,
        )
    try:
        ground = Ground.around(root)
        layers = _Layers(before, dict(walk(model)), built or Constructions(), rewrite, ground)
        own = [p for p in rewrite.patches if p.new is not None and _own(p, ground)]
        sources = [patch._source for patch in own if patch._source is not None]
        diff, folder = ground.diff([*sources, *layers.sources])
        told = dict.fromkeys([*_steps(rewrite, own, layers, ground), *steps])
        return Fix(diff, tuple(told), folder)
    finally:
        rewrite.undo()


def _noises(
    model: nn.Module, found: Findings, example: Any, forward: Forward | None
) -> tuple[set[str], list[str]]:
    """What the findings name, and what else reaches their norms directly: they sum it up.

    Apart from it, what they name that reaches no norm (VS301).
    """
    named = {name for finding in found for name in finding.noises if name not in finding.quiet}
    if not named:
        return set(), []
    places = {
        place for finding in found if finding.noises for place in (finding.place, *finding.also)
    }
    silenced = {name for finding in found.silenced for name in finding.noises}
    silenced |= {name for finding in found for name in finding.quiet}
    structure = inspect(model, example, forward=forward)
    beside = {route.noise for route in structure.direct() if route.norm in places}
    routed = {route.noise for route in structure.routes}
    return (named & routed) | (beside - silenced), sorted(named - routed)


class _Layers:
    """The layers that a rewrite changed: as patches of their constructors, or by hand."""

    def __init__(
        self,
        before: dict[str, tuple[nn.Module, Any]],
        after: dict[str, nn.Module],
        built: Constructions,
        rewrite: Rewrite,
        ground: Ground,
    ) -> None:
        self._rewrite = rewrite
        self._together: dict[Built, list[str]] = {}
        for path, (module, _) in before.items():
            if (place := built.of(module)) is not None and ground.holds(place.file):
                self._together.setdefault(place, []).append(path)
        changed = {change.path: change for change in rewrite.changes if change.path in after}
        self._patches: dict[str, Patch] = {}
        for place, paths in self._together.items():
            moved = [path for path in paths if path in changed]
            if not moved or any(before[path][1] != 0 for path in paths if path not in changed):
                continue
            # One call can construct one kind of layer: the one with the least noise serves all.
            least = min(moved, key=lambda path: changed[path].tau_after or 0.0)
            patch = _patch(least, place, before[least], after[least])
            self._patches |= dict.fromkeys(moved, patch)

    @property
    def sources(self) -> list[SourceText]:
        """The changes to make, one per constructor."""
        return [patch._source for patch in self._patches.values() if patch._source is not None]

    def steps(self) -> Iterator[str]:
        """A sentence for what no patch changes, and what to know of those that do."""
        for change in self._rewrite.changes:
            patch = self._patches.get(change.path)
            if patch is None or patch.new is None:
                where = self._where(change.path) if patch is None else _said(patch)
                yield f"{change.path}: {change.before} → {change.after}, {where}"
            elif patch.why:
                yield f"{patch.noise}: {patch.why}"

    def _where(self, path: str) -> str:
        for place, paths in self._together.items():
            if path in paths:
                changed = {change.path for change in self._rewrite.changes}
                other = next(other for other in paths if other not in changed)
                where = Line(place.file, place.line, place.function, "").near
                return f"but {where} constructs {other!r} too, which stays as it is: by hand"
        return "where it is constructed"


def _patch(path: str, place: Built, before: tuple[nn.Module, Any], after: nn.Module) -> Patch:
    old, rate = before
    moved = getattr(after, "p", None)
    same = type(after) is type(old) and isinstance(moved, float) and moved != rate
    return constructor_patch(path, place, moved if same else None, after)


def _said(patch: Patch) -> str:
    line = patch.line
    return patch.why if line is None else f"{line.near}: {patch.why}"


def _own(patch: Patch, ground: Ground) -> bool:
    return patch.line is not None and ground.holds(patch.line.file)


def _steps(rewrite: Rewrite, own: list[Patch], layers: _Layers, ground: Ground) -> Iterator[str]:
    yield from layers.steps()
    if rewrite.added is not None:
        row = next(row for row in rewrite.rows() if row["how"] == "added")
        yield f"{rewrite.added}: put {row['after']} right before it"
    for patch in rewrite.patches:
        if patch in own:
            if patch.why:
                yield f"{patch.noise}: {patch.why}"
        elif patch.line is not None and not _own(patch, ground):
            yield f"{patch.noise}: drawn at {_elsewhere(patch.line)}"
        else:
            yield f"{patch.noise}: {patch.why or 'change it by hand'}"


def _elsewhere(line: Line) -> str:
    where = line.near
    if is_library(line.file):
        return f"{where}, in a library; set its rate where you construct it"
    if not in_a_file(line):
        return f"{where}, which is not a file; change it by hand"
    folder = os.path.dirname(os.path.abspath(line.file))
    return f"{where}, outside this folder and its repository: run this in {folder} for a patch"
