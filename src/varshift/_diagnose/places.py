"""Where: the places that something surely displaces, the worst first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from varshift._diagnose.severities import extent_at, off
from varshift._explain.rest import tells
from varshift._explain.verdict import LEAST, fits, sure
from varshift.results import Explanation, Figure, Measurement, OriginLine, WorstPlace
from varshift.results.explanation import CAUSES, FOUND, Cause
from varshift.results.grading import grade_of, worst_grade

__all__ = ["STORED", "Observed", "worst_places"]

STORED: tuple[Cause, ...] = ("noise", "staleness", "small-batch", "unattributed")
"""Causes that do no harm in evaluation where what is stored is what evaluation has."""

_MOST = 10
_NOWHERE = OriginLine(None, "nowhere")


@dataclass(frozen=True, eq=False)
class Observed:
    """What the passes have shown, as the parts of a diagnosis look at it.

    Attributes:
        explanation: what `explain` makes of them.
        measurement: what `measure` does.
        origins: by source, where it is made.
        off: by norm, the severity of what it has stored against evaluation.
        kept: norms that `recalibrate` leaves as they are.
    """

    explanation: Explanation
    measurement: Measurement
    origins: Mapping[str, OriginLine]
    off: Mapping[str, Figure]
    kept: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        explanation: Explanation,
        measurement: Measurement,
        origins: Mapping[str, OriginLine],
        kept: frozenset[str] = frozenset(),
    ) -> Observed:
        """With what stored statistics are off by."""
        sites = measurement.sites
        structure = explanation.structure
        apart = {
            path: off(site, sites[path], structure.norm(path).eps)
            for path, site in explanation.factors.items()
            if path in sites
        }
        return cls(explanation, measurement, origins, apart, kept)

    def origin(self, source: str | None) -> OriginLine:
        """Where a source comes from."""
        return self.origins.get(source or "", _NOWHERE)

    @cached_property
    def settled(self) -> tuple[str, ...]:
        """Norms that training displaces, though evaluation has what they have stored."""
        return tuple(
            path
            for path, site in self.explanation.factors.items()
            if any(
                sure(site.displacement[cause]) >= LEAST and self.fits(path, cause)
                for cause in STORED
                if cause in site.displacement
            )
        )

    def fits(self, path: str, cause: Cause = "noise") -> bool:
        """Whether a norm that the cause displaces has stored what evaluation has.

        Where unlike runs, or single samples, each have their own statistics, no average is theirs.
        """
        norm = self.explanation.structure.norm(path)
        own = path in self.explanation.unlike_runs or "InstanceNorm" in norm.kind
        if cause == "small-batch" and own:
            return False
        return path in self.off and fits(self.explanation.factors[path])


def worst_places(seen: Observed) -> tuple[WorstPlace, ...]:
    """By displacement, of each place by the cause that displaces it most."""
    rows = sorted(_displaced(seen.explanation), key=lambda row: -row[2])
    return tuple(_worst(seen, place, cause) for place, cause, _ in rows[:_MOST])


def _displaced(explanation: Explanation) -> Iterator[tuple[str, Cause, float]]:
    """Place, cause, and the displacement that is sure."""
    for path, site in explanation.factors.items():
        sizes = {cause: sure(size) for cause, size in site.displacement.items()}
        cause = max((c for c in (*CAUSES, *FOUND) if c in sizes), key=lambda c: sizes[c])
        if sizes[cause] >= LEAST:
            yield path, cause, sizes[cause]
    for name in explanation.outputs:
        found = [c for c, place in explanation.worst.items() if place == name]
        scores = {cause: explanation.scores.get(cause, 0.0) for cause in found}
        cause = max(scores, key=lambda c: scores[c], default="noise")
        if scores.get(cause, 0.0) >= LEAST:
            yield name, cause, scores[cause]


def _worst(seen: Observed, place: str, cause: Cause) -> WorstPlace:
    extent = extent_at(seen.explanation, place, cause)
    source, share = _culprit(seen.explanation, place) if cause == "noise" else (None, None)
    origin = seen.origin(source)
    # Displaced enough for a verdict is at least mild, whatever the median channel has.
    grade = worst_grade("mild", grade_of(extent.severity.value, extent.severity.se))
    return WorstPlace(
        place=place,
        cause=cause,
        severity=extent.severity,
        shift=extent.shift,
        mean_shift=extent.mean_shift,
        grade="mild" if cause in STORED and place in seen.settled else grade,
        source=source,
        share=share,
        line=origin.line,
        line_of=origin.line_of,
    )


def _culprit(explanation: Explanation, place: str) -> tuple[str | None, Figure | None]:
    """The source with the largest share; None where that is not sure, or others outweigh it."""
    blame = explanation.blame
    behind = blame.behind(place) if place in blame.places else {}
    largest = next(iter(behind.items()), None)
    if largest is None or abs(largest[1].value) <= 2 * largest[1].se:
        return None, None
    outweighed = tells(blame, place) and abs(blame.rest[place]) > abs(largest[1])
    return (None, None) if outweighed else largest
