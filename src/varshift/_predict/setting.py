"""What each source draws in the pass that is predicted: its own law, or what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from varshift._engine import no_norm, walk
from varshift._predict.noises import Asked, law_of, wanted
from varshift.errors import ModelError, UsageError
from varshift.results import Noise, Structure
from varshift.results.structure import Sharing

__all__ = ["Setting", "refuse_nothing"]


@dataclass(frozen=True)
class Setting:
    """Laws by source, as far as they are known; `changed` are those whose own draws are replaced.

    `own` says how strong they are by themselves, as far as that is known, `twice` which of all
    sources meet data more than once by one draw. `silenced` draw nothing any more. `plants` are
    noises that stand where the model has none, by name the module they stand before. `left_out`:
    changed or silenced sources whose own mean goes with their draws. Made of nothing it is the
    model as it is, of which no pass has shown anything yet.
    """

    laws: Mapping[str, Asked] = field(default_factory=dict)
    changed: frozenset[str] = frozenset()
    own: Mapping[str, float | None] = field(default_factory=dict)
    twice: frozenset[str] = frozenset()
    silenced: frozenset[str] = frozenset()
    plants: Mapping[str, str] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def as_it_is(self) -> bool:
        """Whether nothing is to be different from the model as lent."""
        return not (self.changed or self.silenced or self.plants)

    @property
    def taus(self) -> dict[str, float]:
        """τ by source, of those whose law is known."""
        return {name: law.tau for name, law in self.laws.items()}

    def taus_in(self, structure: Structure) -> dict[str, float]:
        """The same with the sources' own laws, now that a pass has shown them."""
        return Setting(_own_laws(structure)).taus | self.taus

    @classmethod
    def of(
        cls,
        structure: Structure,
        noise: Mapping[str, Any] | None = None,
        moved: Mapping[str, str] | None = None,
        model: nn.Module | None = None,
        twice: frozenset[str] = frozenset(),
    ) -> Setting:
        """Read the sources' own laws off the structure and put what was asked for over them.

        `model` is the one in which noise is moved; `twice` comes from a trace of it.
        """
        moved = moved or {}
        paths = {path for path, _ in walk(model)} if model is not None and moved else set()
        asked = wanted(noise, structure)
        laws = {**_own_laws(structure), **asked}
        plants: dict[str, str] = {}
        for name in asked:
            source = structure.noise(name)
            if not source.active and name not in moved:  # such as Dropout(0): noise in its place
                plants[name] = source.path
                laws[name] = _shared(laws[name], source)
        for name, path in moved.items():
            if path not in paths:
                raise UsageError(f"moved= says {path!r}, but the model has no module of that path")
            there = f"{name} → {path}"
            plants[there], laws[there] = path, _moved(structure, laws, name)
        return cls(
            laws=laws,
            changed=frozenset(asked) - frozenset(plants),
            own={name: structure.noise(name).tau for name in asked},
            twice=twice,
            silenced=frozenset(moved),
            plants=plants,
            notes=_notes(structure, laws, asked, moved),
        )


def _own_laws(structure: Structure) -> dict[str, Asked]:
    return {noise.name: law for noise in structure.noises if (law := law_of(noise)) is not None}


def _shared(law: Asked, source: Noise) -> Asked:
    """The law with the sharing that a module of that class would have."""
    kind: Sharing = "element"
    if source.module in ("Dropout1d", "Dropout2d", "Dropout3d"):
        kind = "channel"
    elif source.module in ("DropPath", "StochasticDepth"):
        kind = "sample"
    return replace(law, sharing=law.sharing or kind)


def _moved(structure: Structure, laws: Mapping[str, Asked], source: str) -> Asked:
    structure.noise(source)  # says which names there are
    if source not in laws:
        raise UsageError(f"{source!r} has no known law; say which with noise={{{source!r}: rate}}")
    return laws[source]


def _notes(
    structure: Structure,
    laws: Mapping[str, Asked],
    asked: Mapping[str, Asked],
    moved: Mapping[str, str],
) -> tuple[str, ...]:
    notes = []
    if asked or moved:
        notes += [
            "the weights are held fixed: training under other noise would move them too",
            "stored statistics are taken to be those that training under this noise would leave",
        ]
    unknown = [noise.name for noise in structure.noises if noise.active and noise.name not in laws]
    notes += [f"{name}: no law in closed form; its own draws are used" for name in unknown]
    return tuple(notes)


def refuse_nothing(structure: Structure) -> None:
    """Raise ModelError where the model has no norm to predict anything of."""
    if not structure.norms:
        raise ModelError(no_norm(structure, "to predict"))
