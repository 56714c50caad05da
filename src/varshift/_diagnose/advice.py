"""What to do, in order: the steps of every cause that is sure, the largest gain first."""

from __future__ import annotations

from varshift._diagnose.places import STORED
from varshift._diagnose.steps import STEPS, Case
from varshift._explain.verdict import LEAST, sure
from varshift.results import Step
from varshift.results.explanation import CAUSES, FOUND, Cause
from varshift.results.steps import StepKind

__all__ = ["advice"]

_MOST = 3
_ENOUGH = 0.5  # of the largest gain


def advice(case: Case) -> tuple[Step, ...]:
    """At most three steps, the largest gain first; none without a verdict.

    Causes that are sure to displace something by a tenth of a deviation have steps, the verdict's
    before the others'. Where evaluation fits as it is, as after recalibration, there is nothing to
    gain.
    """
    if case.seen.explanation.verdict == "none":
        return ()
    causes = [cause for cause in (*CAUSES, *FOUND) if case.score(cause) >= LEAST]
    causes.sort(key=lambda cause: -case.score(cause))
    steps: dict[StepKind, Step] = {}
    for cause in causes:
        fits = _fits(case, cause)
        if fits and cause in STORED:
            continue
        for step in STEPS[cause](case, case.seen.explanation.worst[cause]):
            if not (fits and step.kind == "recalibrate"):  # it would write what is there
                steps.setdefault(step.kind, step)
    ordered = sorted(steps.values(), key=lambda step: -round(step.gain, 1))
    # One pass comes before training again, where it gains at least half as much.
    least = _ENOUGH * max((step.gain for step in ordered), default=0.0)
    ordered.sort(key=lambda step: not (step.kind == "recalibrate" and step.gain > least))
    return tuple(ordered[:_MOST])


def _fits(case: Case, cause: Cause) -> bool:
    """Whether evaluation has what is stored at every norm that the cause displaces."""
    explanation = case.seen.explanation
    displaced = [
        path
        for path, site in explanation.factors.items()
        if cause in site.displacement and sure(site.displacement[cause]) >= LEAST
    ]
    return bool(displaced) and all(case.seen.fits(path, cause) for path in displaced)
