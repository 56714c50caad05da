"""The passes of a diagnosis: those of an explanation, in which the linter's evidence rides."""

from __future__ import annotations

from dataclasses import dataclass, replace

from varshift._check.checking import findings_of
from varshift._check.evidence import Evidence
from varshift._check.passes import Passes
from varshift._check.silencing import Silence
from varshift._engine import Data, Held, Passed, Session
from varshift._explain.explained import explained
from varshift._explain.lanes import Lanes
from varshift._measure.measuring import measurement_of
from varshift.results import Explanation, Findings, Measurement
from varshift.results.grading import GRADES

__all__ = ["Looked", "look"]


@dataclass(frozen=True, eq=False)
class Looked:
    """What one trip over the data has shown.

    Attributes:
        held: the batches.
        evidence: what the linter has looked at, with the passes.
        explanation: what `explain` says.
        measurement: what `measure` says.
        findings: what `check` finds.
    """

    held: Held
    evidence: Evidence
    explanation: Explanation
    measurement: Measurement
    findings: Findings

    @property
    def passes(self) -> int:
        """How often the batches have passed."""
        return self.explanation.passes + self.evidence.passes.settles


def look(run: Session, data: Data, test_data: Data | None, max_samples: int | None) -> Looked:
    """Run everything, each batch five times at most."""
    held = run.held(data, max_samples, then="tracing modules")
    passes = Passes(run, held.own, real=True, outputs=True)
    regimes = passes.regimes
    regimes["test"] = replace(regimes["test"], name_draws=True)
    lanes = Lanes(passes.train, passes.test, regimes)
    explanation = explained(run, held, lanes, test_data, max_samples)
    passed = Passed(held.samples, held.batches)
    passes.made(passed)
    evidence = Evidence(run, passes, GRADES["mild"], explanation=explanation)
    return Looked(
        held=held,
        evidence=evidence,
        explanation=explanation,
        measurement=measurement_of(run, passes.train, passes.test, passed),
        findings=findings_of(evidence, Silence()),
    )
