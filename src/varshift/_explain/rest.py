"""What blame says of a place in words: the sources, and what no source was shown to do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from varshift._counting import counted, verb
from varshift.results import Blame, Figure, OtherNorms, Structure

__all__ = ["behind_the_rest", "norms_alone", "rest_in_words", "rest_notes", "shares", "tells"]

_SMALL = 0.05  # of a training variance: no culprit worth the name
_LEAST = 0.01  # … and no rest worth a word
_NAMED = 3  # sources that are named one by one

_AHEAD = "masks drawn ahead of the pass and kept in an attribute, code under self.training"


def tells(blame: Blame, place: str) -> bool:
    """Whether the rest of a place is worth a word: large enough, and sure to be there.

    Where both modes draw alike all places are off by chance, and four standard errors are asked.
    """
    rest = blame.rest.get(place, Figure(0.0, 0.0))
    error = rest.se if rest.se == rest.se else 0.0
    by_chance = blame.steady is False and not blame.unsilenced
    return abs(rest.value) >= max(_LEAST, (4 if by_chance else 2) * error)


def shares(
    blame: Blame,
    structure: Structure,
    place: str,
    others: OtherNorms | None,
    *,
    rest: bool = True,
) -> str:
    """Whose a place's training variance is: the rest first, where it outweighs every source."""
    behind = blame.behind(place)
    largest = next(iter(behind.items()), None)
    left = blame.rest.get(place, Figure(0.0, 0.0)) if rest else Figure(0.0, 0.0)
    source = "" if largest is None else _source(structure, *largest)
    source += _means(blame, behind)
    causes = behind_the_rest(blame, structure, others)
    if not (rest and tells(blame, place)):
        if left.se > _SMALL and blame.unsilenced and not blame.steady:
            return (
                f" How much stays with every source silenced is not sure ({_percent(left)} of its "
                f"training variance). {causes}{source}"
            )
        return source
    if largest is None or abs(left.value) > abs(largest[1].value):
        return (
            f" With every source silenced, training and evaluation still differ there by "
            f"{rest_in_words(left)}, which no source explains. {causes}{source}"
        )
    return f"{source} With every source silenced, {rest_in_words(left)} stays. {causes}"


def behind_the_rest(blame: Blame, structure: Structure, others: OtherNorms | None) -> str:
    """What could cause what stays with every source silenced, as far as it was seen."""
    shut = [noise.name for noise in structure.noises if noise.drops_all]
    if shut:
        return (
            f"{_listed(shut)} {verb(len(shut), 'have')} drop_p 1: nothing passes there in "
            "training, and everything in evaluation."
        )
    norms = ""
    if others is not None and not others.displacement:
        alone = [*others.training, *others.evaluation]
        norms = f", norms that only one mode runs ({_listed(alone)})"
    if blame.otherwise:
        norms += f", norms that normalise in their own way ({_listed(blame.otherwise)})"
    if blame.in_evaluation:
        norms += ", a draw in evaluation alone (a reversed training flag)"
    if blame.steady:
        law = ", noise whose mean is not one" if blame.noises else ""
        return (
            "No draw explains it, because it is the same in every pass. Possible causes: "
            f"{_AHEAD}{law}{norms}."
        )
    seen = [_named(structure, name) for name in blame.unsilenced]
    more = f" and {len(seen) - _NAMED} more" if len(seen) > _NAMED else ""
    could = f"a draw in numpy or Python, {_AHEAD}, noise whose mean is not one{norms}"
    if not seen:
        return f"Possible causes: {could}."
    drawn = f"Drawn and not silenced: {', '.join(seen[:_NAMED])}{more}"
    return f"{drawn}. Other possible causes: {could}."


def norms_alone(others: OtherNorms) -> str:
    """Which norms only one mode runs, and what that costs."""
    alone = [("training", others.training), ("evaluation", others.evaluation)]
    told = [f"{off!r} where training runs {on!r}" for on, off in others.pairs[:_NAMED]]
    more = f" and {len(others.pairs) - _NAMED} more" if len(others.pairs) > _NAMED else ""
    which = (
        ", ".join(told) + more
        if told
        else "; ".join(
            f"{', '.join(map(repr, paths[:_NAMED]))} in {mode} alone"
            for mode, paths in alone
            if paths
        )
    )
    said = f"evaluation runs other norms than training ({which})"
    name = max(others.displacement, key=lambda name: others.displacement[name], default=None)
    if name is None and not others.evaluation:
        return f"evaluation leaves out norms of training ({which}); no output was shown to change."
    if name is None:
        return f"{said}; its effect on an output was not shown."
    return (
        f"{said}, which displaces {name} by {others.displacement[name].value:.2f} standard "
        f"deviations (its mean by {others.mean_shift[name].value:.2f})."
    )


def rest_notes(blame: Blame, structure: Structure, others: OtherNorms | None) -> list[str]:
    """Notes on norms that only one mode runs, and on places where something stays with every source
    silenced.
    """
    return [
        *([] if others is None else [norms_alone(others)]),
        *_on_places(blame, structure, others),
    ]


def _on_places(blame: Blame, structure: Structure, others: OtherNorms | None) -> list[str]:
    places = [place for place in blame.places if tells(blame, place)]
    if not places:
        return []
    place = max(places, key=lambda place: abs(blame.rest[place]))
    return [
        f"{len(places)} of {counted(len(blame.places), 'place')} {verb(len(places), 'differ')} "
        f"between training and evaluation with every source silenced, {place} most "
        f"({rest_in_words(blame.rest[place])}, which no source explains). "
        f"{behind_the_rest(blame, structure, others)}"
    ]


def _listed(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(map(repr, paths[:_NAMED])) + more


def _source(structure: Structure, name: str, share: Figure) -> str:
    named, size = _named(structure, name), abs(share.value)
    if size >= _SMALL and not size > 2 * share.se:
        return f" The largest single source, {named}, may cause none of it ({_percent(share)})."
    if share.value <= -_SMALL:
        return f" {named} makes its training variance less by {100 * size:.0f} %."
    if size < _SMALL:
        return (
            f" No single source causes much of its training variance; the largest, {named}, "
            f"causes {100 * share.value:.2g} %."
        )
    return f" {named} causes {100 * share.value:.0f} % of its training variance."


def _means(blame: Blame, behind: Mapping[str, Figure]) -> str:
    """What the sources there are on average, where evaluation has not that."""
    found = []
    for name in [name for name in behind if name in blame.left_out][:_NAMED]:
        mean = blame.left_out[name]
        does = (
            f"{name!r} multiplies by {mean:.3g} on average and nothing rescales it, while "
            "evaluation multiplies by 1"
            if math.isfinite(mean)
            else f"What {name!r} does on average, evaluation does not do"
        )
        found.append(f" {does}: that is part of what it causes.")
    return "".join(found)


def rest_in_words(rest: float) -> str:
    """A rest as a part of the training variance, and what its sign means.

    >>> rest_in_words(0.12), rest_in_words(-0.004)
    ('12 % of its training variance', '0.4 % of its training variance (less than in evaluation)')
    """
    percent = 100 * abs(rest)
    part = f"{percent:{'.0f' if percent >= 1 else '.2g'}} % of its training variance"
    return part if rest >= 0 else f"{part} (less than in evaluation)"


def _percent(share: Figure) -> str:
    error = f" ± {100 * share.se:.0f}" if share.se == share.se else ""
    return f"{100 * share.value:.0f}{error} %"


def _named(structure: Structure, name: str) -> str:
    line = structure.noise(name).line
    return repr(name) + (f" ({line.near})" if line else "")
