"""Routes that are the same but for numbers in their names, as one: `stage_*.drop ×40`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence

from varshift._draw.figures import drop, through
from varshift._draw.pictures.described import RouteBundle
from varshift.results import Noise, Structure

__all__ = ["bundled", "gathered"]

_FEW = 12  # routes that a picture shows one by one
_NUMBER = re.compile(r"\d+")
_OWN = re.compile(r"(?<=[A-Za-z#])\d+$")
_ROLES = 4  # numbers at the end of a name that may tell what it does: `bn1` and `bn2` are no stages


def bundled(structure: Structure, rates: Mapping[str, str] | None = None) -> list[RouteBundle]:
    """The direct routes; where they are many, those of a kind as one.

    Of a kind are routes from noises of one operation and rate to norms, each with names that differ
    in numbers only, with the same placement and the same kinds of layers between. `rates` has other
    words for the rates of sources: what a prediction was asked for.
    """
    sources, norms = gathered(structure, rates or {})
    routes = Counter(
        (sources[route.noise], norms[route.norm], route.placement, through(route))
        for route in structure.direct()
    )
    return [RouteBundle(*ends, count) for ends, count in routes.items()]


def gathered(
    structure: Structure, rates: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """By name of each source and of each norm that a direct route has: what it is drawn as."""
    direct = structure.direct()
    sources = list(dict.fromkeys(route.noise for route in direct))
    norms = list(dict.fromkeys(route.norm for route in direct))
    if len(direct) <= _FEW:
        return {name: name for name in sources}, {name: name for name in norms}
    noises = {noise.name: noise for noise in structure.noises}
    kinds = {name: _kind(noises[name], rates) for name in sources}
    return _named((name, kinds[name]) for name in sources), _named((name, ()) for name in norms)


def _kind(noise: Noise, rates: Mapping[str, str]) -> Hashable:
    return noise.operation, noise.sharing, rates.get(noise.name, drop(noise))


def _named(names: Iterable[tuple[str, Hashable]]) -> dict[str, str]:
    """Each name, and the one of all that have its pattern and its kind."""
    every = list(names)
    own: dict[str, set[str]] = {}
    for name, _ in every:
        own.setdefault(_pattern(name), set()).add(_own(name))
    alike: dict[Hashable, list[str]] = {}
    for name, kind in every:
        pattern = _pattern(name)
        role = _own(name) if len(own[pattern]) <= _ROLES else ""
        alike.setdefault((pattern, role, kind), []).append(name)
    common = {group: _common(members) for group, members in alike.items()}
    times = Counter(common.values())
    made: dict[str, str] = {}
    for group, members in alike.items():
        # Two kinds whose numbers alternate would have one name.
        several = times[common[group]] > 1 and len(members) > 1
        name = f"{members[0]} … {members[-1]}" if several else common[group]
        made |= dict.fromkeys(members, name)
    return made


def _pattern(name: str) -> str:
    """The name with `*` for its numbers."""
    return _NUMBER.sub("*", name)


def _own(name: str) -> str:
    """The number right behind a word at the end of a name, `2` of `stage3.bn2`."""
    found = _OWN.search(name)
    return found.group() if found else ""


def _common(members: Sequence[str]) -> str:
    """Names of one pattern as one, with `*` for the numbers that differ."""
    split = [re.split(r"(\d+)", name) for name in members]
    return "".join(parts[0] if len(set(parts)) == 1 else "*" for parts in zip(*split, strict=True))
