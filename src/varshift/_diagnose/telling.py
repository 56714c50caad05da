"""From what was seen to the diagnosis."""

from __future__ import annotations

from collections.abc import Mapping

from varshift._diagnose.advice import advice
from varshift._diagnose.contributions import contributions
from varshift._diagnose.gains import Gains
from varshift._diagnose.looking import Looked
from varshift._diagnose.places import Observed, worst_places
from varshift._diagnose.steps import Case
from varshift._diagnose.unseen import unseen
from varshift.results import Diagnosis, Expected, OriginLine
from varshift.results.grading import worst_grade

__all__ = ["told"]


def told(
    looked: Looked, origins: Mapping[str, OriginLine], *, tested: bool, judged: bool
) -> Diagnosis:
    """The diagnosis, before any repair is tried; `tested` and `judged` as in `unseen`."""
    explanation = looked.explanation
    kept = looked.evidence.run.kept
    seen = Observed.of(explanation, looked.measurement, origins, kept)
    gains = Gains(_expected(looked), explanation.blame, explanation.structure)
    case = Case(seen, gains, trained=not looked.evidence.seen.fresh)
    worst, steps = worst_places(seen), advice(case)
    return Diagnosis(
        verdict=explanation.verdict,
        grade=worst_grade(*(place.grade for place in worst)),
        worst=worst,
        causes=contributions(seen),
        advice=steps,
        unseen=tuple(unseen(case, steps, tested=tested, judged=judged)),
        settled=seen.settled,
        explanation=explanation,
        measurement=looked.measurement,
        findings=looked.findings,
        structure=explanation.structure,
        samples=explanation.samples,
        batches=explanation.batches,
        passes=looked.passes,
        notes=tuple(dict.fromkeys([*explanation.notes, *looked.findings.notes])),
    )


def _expected(looked: Looked) -> Mapping[str, Expected]:
    """What theory says of each norm, where noise reaches any: else no settled pass was made."""
    passes = looked.evidence.passes
    return passes.expected if passes.settles else {}
