"""Whose: what each cause does, and each source of noise, at the place where it does most."""

from __future__ import annotations

from collections.abc import Iterator

from varshift._diagnose.places import Observed
from varshift._diagnose.severities import extent_at
from varshift._explain.rest import tells
from varshift.results import Contribution, Explanation
from varshift.results.explanation import CAUSES, FOUND, Cause

__all__ = ["contributions"]

_LEAST = 0.01  # of a displacement, or of a training variance: less is not worth a line


def contributions(seen: Observed) -> tuple[Contribution, ...]:
    """Every cause that is sure to do anything worth a line, the largest first; then its sources."""
    explanation = seen.explanation
    found: list[Contribution] = []
    for cause in sorted((*CAUSES, *FOUND), key=lambda cause: -explanation.scores.get(cause, 0.0)):
        if explanation.scores.get(cause, 0.0) >= _LEAST:
            place = explanation.worst[cause]
            sources = list(_sources(seen, place)) if cause == "noise" else []
            found += sources or [_of_cause(seen, cause, place)]
    return tuple(found)


def _sources(seen: Observed, place: str) -> Iterator[Contribution]:
    """Of noise, the sources that surely have a share there."""
    blame = seen.explanation.blame
    if place not in blame.places:
        return
    extent = extent_at(seen.explanation, place, "noise")
    for source, share in blame.behind(place).items():
        if abs(share.value) < _LEAST or abs(share.value) <= 2 * share.se:
            continue
        origin = seen.origin(source)
        yield Contribution(
            cause="noise",
            source=source,
            place=place,
            displacement=extent.displacement,
            severity=extent.severity,
            share=share,
            line=origin.line,
            line_of=origin.line_of,
        )
    if tells(blame, place) and "unattributed" not in seen.explanation.scores:
        yield _left(seen.explanation, place)


def _left(explanation: Explanation, place: str) -> Contribution:
    """What no source was shown to do there: the draws that could not be silenced, as a rule."""
    extent = extent_at(explanation, place, "noise")
    return Contribution(
        cause="unattributed",
        source="",
        place=place,
        displacement=extent.displacement,
        severity=extent.severity,
        share=explanation.blame.rest[place],
        names=_names(explanation, "unattributed"),
    )


def _of_cause(seen: Observed, cause: Cause, place: str) -> Contribution:
    explanation = seen.explanation
    extent = extent_at(explanation, place, cause)
    return Contribution(
        cause=cause,
        source="",
        place=place,
        displacement=extent.displacement,
        severity=extent.severity,
        share=explanation.blame.rest.get(place) if cause == "unattributed" else None,
        why=explanation.stale.get(place) if cause == "staleness" else None,
        names=_names(explanation, cause),
    )


def _names(explanation: Explanation, cause: Cause) -> tuple[str, ...]:
    if cause == "unattributed":
        return (*explanation.blame.unsilenced, *explanation.blame.otherwise)
    others = explanation.other_norms
    if cause == "other-norms" and others is not None:
        return (*others.training, *others.evaluation)
    return ()
