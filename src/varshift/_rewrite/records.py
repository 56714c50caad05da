"""The record of a rewriting while it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn

from varshift._engine import unwrapped, walk
from varshift._rewrite.journal import Journal
from varshift._rewrite.places import Place
from varshift._rewrite.rates import tau_now
from varshift._torch.compiler import compiled
from varshift._torch.tensors import has_hooks
from varshift.results import Line, Patch, Rewrite, Rewritten, Structure
from varshift.results.structure import alone

__all__ = ["Draft", "compiled_anew"]


@dataclass
class Draft:
    """Changes as (path, noise name, before, after), with patches and notes."""

    changed: list[tuple[str, str, str, str]] = field(default_factory=list)
    patches: list[Patch] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    severities: Mapping[str, float] = field(default_factory=dict)
    added: str | None = None
    _said: dict[str, list[str]] = field(default_factory=dict)

    def change(self, place: Place, before: str, after: str) -> None:
        """Record a change of a module, for each source that draws there."""
        for noise in place.noises:
            self.changed.append((place.path, noise.name, before, after))

    def say(self, name: str, text: str) -> None:
        """Add a note; names of which the same is said share one."""
        self._said.setdefault(text, []).append(name)

    def say_of(self, place: Place) -> None:
        """What to know of a module that is taken out."""
        if len(place.homes) > 1:
            self.say(place.path, f"registered in {len(place.homes)} places, changed in all of them")
        elif sum(noise.calls for noise in place.noises) > 1:
            self.say(place.path, "runs more than once a pass, and draws the new noise every time")
        if has_hooks(place.module):
            self.say(place.path, "the layer that was taken out had hooks; the new one has none")

    def result(self, before: Structure, after: Structure, journal: Journal) -> Rewrite:
        """The finished record."""
        changes = tuple(
            Rewritten(path, name, old, new, tau_now(before.noise(name)), _tau_after(after, name))
            for path, name, old, new in self.changed
        )
        first: dict[Line | None, str | None] = {}
        for patch in self.patches:
            self.say(patch.noise, "written in code, unchanged until you change it (see patches)")
            if patch.new is not None and first.setdefault(patch.line, patch.new) != patch.new:
                self.say(
                    patch.noise,
                    f"{patch.line} also draws for others, at other rates: diff() "
                    "makes the first change alone",
                )
        said = [f"{_some(names)}: {text}" for text, names in self._said.items()]
        return Rewrite(
            changes=changes,
            added=self.added,
            patches=tuple(self.patches),
            # The old structure's proofs would run on the model as it is now.
            before=alone(before),
            after=after,
            severities=self.severities,
            notes=tuple(dict.fromkeys([*said, *self.notes])),
            _undo=journal.undo,
        )


def compiled_anew(model: nn.Module, journal: Journal) -> list[str]:
    """Let compiled parts be compiled again: they do not look for hooks that came or went."""
    parts = [model, *(module for _, module in walk(unwrapped(model)))]
    if not any(compiled(module) for module in parts):
        return []
    journal.recompile()
    return ["compiled code was dropped (torch.compiler.reset()): the next call compiles again"]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def _tau_after(after: Structure, name: str) -> float | None:
    noise = next((noise for noise in after.noises if noise.name == name), None)
    if noise is None:
        return 0.0
    if noise.active:
        return tau_now(noise)
    return tau_now(noise) if noise.operation == "in eval mode" else 0.0
