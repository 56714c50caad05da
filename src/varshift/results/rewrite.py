"""What `replace` and `relocate` give back: what was changed, what is left to do by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from varshift._base import Undoable, plain
from varshift.results.edits import SourceText, united_diff
from varshift.results.structure import Line, Structure

__all__ = ["Patch", "Rewrite", "Rewritten"]

SCHEMA = "varshift.rewrite/1"


@dataclass(frozen=True)
class Rewritten:
    """One noise source that draws otherwise now; `before` and `after` are how its layer prints.

    `tau_before` and `tau_after` are None where a law has no τ that is known.
    """

    path: str
    noise: str
    before: str
    after: str
    tau_before: float | None
    tau_after: float | None


@dataclass(frozen=True)
class Patch:
    """A noise that is written in code, and how to change the code. Nothing has been changed.

    Attributes:
        noise: the source's name in the structure.
        line: where it draws; None where torch itself draws, with no line of the user's below.
        old: the source lines of the call as they are; "" where no call was found.
        new: the same lines rewritten, "" where they go; None where it takes a person.
        why: what to know, or what to do by hand; "" where the diff says all.
    """

    noise: str
    line: Line | None
    old: str
    new: str | None
    why: str = ""
    _source: SourceText | None = field(default=None, repr=False, compare=False)

    def diff(self) -> str:
        """A unified diff for `git apply -p0` or `patch -p0`; "" where `new` is None.

        File names are relative to the current folder where the file lies inside it.
        """
        return "" if self._source is None else united_diff([self._source])


@dataclass(frozen=True, eq=False, repr=False)
class Rewrite(Undoable):
    """A model rewritten in place before training. `undo()` puts back the very objects.

    Attributes:
        changes: what draws otherwise now, one per noise source.
        added: path of the classifier that got a dropout before it, if one did.
        patches: noises written in code, which only a change of that code can alter.
        before, after: the structure as lent, and as it is now.
        severities: predicted severity by norm, all changes and patches made; empty unless asked.
    """

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "noise",
        "how",
        "before",
        "after",
        "tau_before",
        "tau_after",
    )

    changes: tuple[Rewritten, ...]
    added: str | None
    patches: tuple[Patch, ...]
    before: Structure
    after: Structure
    severities: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def reached_before(self) -> int:
        """How many norms noise reached, directly or through other norms."""
        return len({route.norm for route in self.before.routes})

    @property
    def reached(self) -> int:
        """How many it reaches now; patches that are left to do by hand are not counted as done."""
        return len({route.norm for route in self.after.routes})

    @property
    def clean(self) -> bool:
        """Whether no noise reaches a norm any more."""
        return not self.after.routes

    def diff(self) -> str:
        """All patches as one unified diff, each file once; "" where there is none."""
        return united_diff([patch._source for patch in self.patches if patch._source])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: changes, patches with their diffs, and both structures."""
        return {
            "schema": SCHEMA,
            "changes": [plain(asdict(change)) for change in self.changes],
            "added": self.added,
            "patches": [_patch(patch) for patch in self.patches],
            "clean": self.clean,
            "severities": plain(self.severities),
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "notes": list(self.notes),
        }

    def rows(self) -> list[dict[str, Any]]:
        """One row per change, per patch, and for the dropout added."""
        changed = [{"noise": c.noise, "how": "changed"} | _sides(c) for c in self.changes]
        added = [
            {"noise": f"{path}.noise_before", "how": "added"}
            | _sides(self._added(f"{path}.noise_before"))
            for path in ([] if self.added is None else [self.added])
        ]
        patches = [
            {
                "noise": patch.noise,
                "how": "by hand" if patch.new is None else "patch",
                "before": patch.old.strip(),
                "after": (patch.why if patch.new is None else patch.new).strip(),
                "tau_before": self.before.noise(patch.noise).tau,
                "tau_after": None,
            }
            for patch in self.patches
        ]
        return changed + added + patches

    def _added(self, name: str) -> Rewritten:
        noise = self.after.noise(name)
        return Rewritten(noise.path, name, "", f"Dropout(p={noise.drop_p})", 0.0, noise.tau)


def _sides(change: Rewritten) -> dict[str, Any]:
    return {name: getattr(change, name) for name in ("before", "after", "tau_before", "tau_after")}


def _patch(patch: Patch) -> dict[str, Any]:
    return {
        "noise": patch.noise,
        "line": None if patch.line is None else plain(asdict(patch.line)),
        "old": patch.old,
        "new": patch.new,
        "why": patch.why,
        "diff": patch.diff(),
    }
