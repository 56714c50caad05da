"""What each source draws in the pass that is predicted: its own law, or what was asked for."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from varshift._engine.control import Key
from varshift._predict.noises import Asked, Shape, wanted
from varshift.errors import UsageError
from varshift.results.structure import Noise, Sharing, Structure

__all__ = ["Setting"]

_SHAPES: dict[str, Shape] = {"uniform": "uniform", "gaussian": "gaussian"}


@dataclass(frozen=True)
class Setting:
    """Laws by source; `changed` are those whose own draws are replaced.

    `silenced` draw nothing any more. `plants` are noises that stand where the model has none, by
    name the module they stand before.
    """

    names: Mapping[Key, str]
    laws: Mapping[str, Asked]
    changed: frozenset[str] = frozenset()
    silenced: frozenset[str] = frozenset()
    plants: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def as_it_is(self) -> bool:
        """Whether nothing is to be different from the model as lent."""
        return not (self.changed or self.silenced or self.plants)

    @cached_property
    def taus(self) -> dict[str, float]:
        """τ by source; asked for at every norm of every batch."""
        return {name: law.tau for name, law in self.laws.items()}

    @classmethod
    def of(
        cls,
        structure: Structure,
        names: Mapping[Key, str],
        noise: Mapping[str, Any] | None,
        moved: Mapping[str, str],
        paths: Container[str],
    ) -> Setting:
        """Read the sources' own laws off the structure and put what was asked for over them."""
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
            names=names,
            laws=laws,
            changed=frozenset(asked) - frozenset(plants),
            silenced=frozenset(moved),
            plants=plants,
            notes=_notes(structure, laws, asked, moved),
        )

    @classmethod
    def lent(cls, structure: Structure, names: Mapping[Key, str]) -> Setting:
        """The model as it is."""
        return cls(names, _own_laws(structure))


def _own_laws(structure: Structure) -> dict[str, Asked]:
    return {noise.name: law for noise in structure.noises if (law := _own(noise)) is not None}


def _shared(law: Asked, source: Noise) -> Asked:
    """The law with the sharing that a module of that class would have."""
    kind: Sharing = "element"
    if source.module in ("Dropout1d", "Dropout2d", "Dropout3d"):
        kind = "channel"
    elif source.module in ("DropPath", "StochasticDepth"):
        kind = "sample"
    return replace(law, sharing=law.sharing or kind)


def _own(noise: Noise) -> Asked | None:
    if not noise.active or noise.tau is None:
        return None
    if noise.sharing not in ("element", "channel", "sample"):
        return None
    shape = _SHAPES.get(noise.law, "bernoulli")
    two_sided = shape == "bernoulli" and noise.drop_p is None
    return Asked(noise.tau, shape, noise.sharing, two_sided)


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
