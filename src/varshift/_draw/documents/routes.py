"""The picture of routes: which noise reaches which norm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from varshift._counting import counted
from varshift._draw.documents.bundling import bundled, gathered
from varshift._draw.figures import drop, place
from varshift._draw.pictures.described import RouteBundle, Routes
from varshift.results import Noise, Structure
from varshift.results.grading import Grade, grade_of, worst_grade

__all__ = ["routes_picture"]

_SHOWN = 40  # norms of a picture


def routes_picture(
    structure: Structure,
    severities: Mapping[str, float],
    rates: Mapping[str, str],
    grades: Mapping[str, Grade] | None = None,
) -> Routes | None:
    """The direct routes in bundles; of many those to the norms that shift most. None without any.

    A bundle's norm is as bad as the worst it stands for. `grades` are those of the norms where
    their errors are known; else they follow from the severities.
    """
    every = bundled(structure, rates)
    if not every:
        return None
    sources, norms = (_members(names) for names in gathered(structure, rates))
    size = {path: value for path, value in severities.items() if value == value}
    worst = {
        name: max((path for path in paths if path in size), key=size.__getitem__, default=None)
        for name, paths in norms.items()
    }
    known = {name: size[path] for name, path in worst.items() if path is not None}
    shown = set(sorted(norms, key=lambda name: -known.get(name, 0.0))[:_SHOWN])
    kept = [bundle for bundle in every if bundle.norm in shown]
    noises = {noise.name: noise for noise in structure.noises}
    first = {name: noises[paths[0]] for name, paths in sources.items()}
    graded = grades or {path: grade_of(value) for path, value in size.items()}
    return Routes(
        "Routes from noise sources to norms",
        kept,
        {name: rates.get(noise.name, drop(noise)) for name, noise in first.items()},
        known,
        {name: _worst(graded[path] for path in norms[name] if path in graded) for name in known},
        {
            **{name: _hint(noise, sources[name]) for name, noise in first.items()},
            **{name: _told(norms[name], worst[name]) for name in norms if len(norms[name]) > 1},
        },
        _caption(structure, every, kept, ranked=bool(known)),
    )


def _members(names: Mapping[str, str]) -> dict[str, list[str]]:
    """By the name that is drawn, those that it stands for."""
    found: dict[str, list[str]] = {}
    for member, name in names.items():
        found.setdefault(name, []).append(member)
    return found


def _worst(grades: Iterable[Grade]) -> Grade:
    found: Grade = "none"
    for grade in grades:
        found = worst_grade(found, grade)
    return found


def _hint(noise: Noise, members: Sequence[str]) -> str:
    lines = [f"{noise.operation}, one draw per {noise.sharing}"]
    if len(members) > 1:
        lines.append(f"{counted(len(members), 'source')}, {members[0]} to {members[-1]}")
    if noise.line is not None:
        lines += [place(noise, 120), noise.line.code]
    return "\n".join(lines)


def _told(members: Sequence[str], worst: str | None) -> str:
    told = f"{counted(len(members), 'norm')}, {members[0]} to {members[-1]}"
    return told if worst is None else f"{told}\nthe worst: {worst}"


def _caption(
    structure: Structure, every: Sequence[RouteBundle], kept: Sequence[RouteBundle], *, ranked: bool
) -> str:
    direct, drawn = (sum(bundle.count for bundle in some) for some in (every, kept))
    words = []
    if any(bundle.count > 1 for bundle in kept):
        words.append("× says for how many routes a line stands; * is any number.")
    if drawn < direct:
        which = "those to the norms that shift most" if ranked else "the first ones"
        words.append(f"{drawn} of {direct} direct routes are drawn, {which}.")
    behind = len(structure.routes) - direct
    if behind:
        more = counted(behind, "more route")
        words.append(
            f"{more} {'leads' if behind == 1 else 'lead'} through another norm and "
            f"{'is' if behind == 1 else 'are'} not drawn."
        )
    return " ".join(words)
