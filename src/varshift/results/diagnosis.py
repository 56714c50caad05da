"""What `diagnose` gives back: verdict, grade, where, whose, what to do, what was not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from varshift._base import Record, Result, plain
from varshift.results.explanation import Cause, Explanation, Verdict
from varshift.results.figure import Figure
from varshift.results.findings import Findings
from varshift.results.grading import Grade
from varshift.results.measurement import Measurement
from varshift.results.origin import LineOf, OriginLine
from varshift.results.score import Score
from varshift.results.staleness import Staleness
from varshift.results.steps import Step
from varshift.results.structure import Line, Structure
from varshift.results.unseen import Unseen

__all__ = ["Contribution", "Diagnosis", "WorstPlace"]

SCHEMA = "varshift.diagnosis/1"


@dataclass(frozen=True, repr=False)
class WorstPlace(Record):
    """A norm site (of a model without norms: an output) that something surely displaces.

    Attributes:
        place: path of the norm site, or the name of the output.
        cause: what displaces it most.
        severity: how much that does: max(Δ, 1/Δ), the median over channels as `measure` has it, or
            1 + the distance of means in deviations where that is more, as `check` counts it. Of
            causes without a ratio of variances of their own, what `displacement` leaves for it.
        shift: the ratio of variances that the cause makes: `noise` (`alone` where that is another),
            `age` or `data` of `Factors`; NaN where no one ratio is its doing.
        mean_shift: how far the cause moves the means, in deviations; NaN where not known.
        grade: of the severity, at least "mild"; no more than that where evaluation fits as it is
            (`settled`).
        source: the noise source to blame most; None where no source is sure to do anything.
        share: of the variance in training that it causes; None without a source.
        line: where the source is constructed, or drawn; None where not known.
        line_of: what that line is: "constructor", "class" (the class that holds it), "call", or
            "nowhere".
    """

    place: str
    cause: Cause
    severity: Figure
    shift: Figure
    mean_shift: Figure
    grade: Grade
    source: str | None
    share: Figure | None
    line: Line | None
    line_of: LineOf


@dataclass(frozen=True, repr=False)
class Contribution(Record):
    """What one cause does, at the place where it does most.

    Attributes:
        cause: "noise" (once for each source), or another cause of the verdict (once).
        source: the noise source; "" for the other causes.
        place: where it does most.
        displacement: how far the cause moves the output of that place, in deviations; for one of
            several sources that of all of them, whose `share` is its own.
        severity: the same as a severity (`WorstPlace.severity`).
        share: of the variance of training there, that the source causes alone; of "unattributed",
            what stays with every source silenced. None for the other causes.
        line: where the source is constructed, or drawn.
        line_of: what that line is, as in `WorstPlace`.
        why: why the statistics are stale, as far as numbers tell; None for the other causes.
        names: of "unattributed", the draws that could not be silenced; of "other-norms", the norms
            that one mode alone runs.
    """

    cause: Cause
    source: str
    place: str
    displacement: Figure
    severity: Figure
    share: Figure | None = None
    line: Line | None = None
    line_of: LineOf = "nowhere"
    why: Staleness | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Diagnosis(Result):
    """One look at a trained model: what is wrong, where, whose doing it is, and what to do.

    Attributes:
        verdict: the cause that displaces the worst place most, or "none", as `explain` finds it.
        grade: how bad: "none" (with the verdict "none", and only then), "mild", "clear" or
            "severe", by `varshift.results.GRADES`.
        worst: the places that something surely displaces by a tenth of a deviation, the worst
            first, ten at most.
        causes: what each cause does, and each source of noise; the largest first.
        advice: what to do, at most three steps, the largest gain first; none where nothing is
            wrong, or evaluation fits as it is.
        unseen: what was not seen, and so is not judged.
        settled: norms whose stored statistics are those of evaluation, as after `recalibrate`,
            though training differs: evaluation is right as it is, and training on will shift it
            (not those that are frozen).
        explanation: what `explain` says of the same passes.
        measurement: what `measure` says of them.
        findings: what `check` finds in them.
        structure: the noises, norms and routes.
        samples: how many training samples were used.
        batches: in so many batches.
        passes: passes over the training data.
        held_out: what the model as lent scores on the held-out samples; None where no repair was
            tried on any.
        notes: what else a reader must know.

    >>> import torch, varshift as vs
    >>> _ = torch.manual_seed(0)
    >>> norm = torch.nn.BatchNorm1d(4, momentum=None)
    >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), norm).double()
    >>> data = [torch.randn(256, 4, dtype=torch.float64) for _ in range(16)]
    >>> _ = [model(batch) for batch in data]
    >>> d = vs.diagnose(model, data)
    >>> d.verdict, d.worst[0].place, round(d.worst[0].severity, 1), d.worst[0].source
    ('noise', '1', 2.0, '0')
    >>> [step.kind for step in d.advice]
    ['recalibrate', 'relocate', 'lower-rate']
    >>> d.advice[0].line
    'vs.recalibrate(model, data)'
    """

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "place",
        "cause",
        "grade",
        "severity",
        "severity_se",
        "shift",
        "source",
        "share",
        "line",
        "line_of",
    )

    verdict: Verdict
    grade: Grade
    worst: tuple[WorstPlace, ...]
    causes: tuple[Contribution, ...]
    advice: tuple[Step, ...]
    unseen: tuple[Unseen, ...]
    settled: tuple[str, ...]
    explanation: Explanation
    measurement: Measurement
    findings: Findings
    structure: Structure
    samples: int
    batches: int
    passes: int
    held_out: Score | None = None
    notes: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """The verdict in a sentence or two, as `explain` says it."""
        return self.explanation.reason

    def at(self, origins: Mapping[str, OriginLine]) -> Diagnosis:
        """The same, with these lines of noise sources, by name: whoever made the model knows them.

        Sources that are not named keep their lines.
        """

        def placed(held: Any) -> Any:
            origin = origins.get(held.source or "")
            return (
                held if origin is None else replace(held, line=origin.line, line_of=origin.line_of)
            )

        return replace(
            self,
            worst=tuple(map(placed, self.worst)),
            causes=tuple(map(placed, self.causes)),
            advice=tuple(step.at(origins) for step in self.advice),
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the three results inside have schemas of their own."""
        return self.structure.to_dict() | {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "grade": self.grade,
            "reason": self.reason,
            "worst": [_record(worst) for worst in self.worst],
            "causes": [_record(cause) for cause in self.causes],
            "advice": [step.to_dict() for step in self.advice],
            "unseen": [unseen.to_dict() for unseen in self.unseen],
            "settled": list(self.settled),
            "explanation": self.explanation.to_dict(),
            "measurement": self.measurement.to_dict(),
            "findings": self.findings.to_dict(),
            "samples": self.samples,
            "batches": self.batches,
            "passes": self.passes,
            "held_out": None if self.held_out is None else self.held_out.to_dict(),
            "notes": list(self.notes),
        }

    def rows(self) -> list[dict[str, Any]]:
        """One row per place in `worst`."""
        return [
            {
                "place": worst.place,
                "cause": worst.cause,
                "grade": worst.grade,
                "severity": worst.severity.value,
                "severity_se": worst.severity.se,
                "shift": worst.shift.value,
                "source": worst.source,
                "share": None if worst.share is None else worst.share.value,
                "line": None if worst.line is None else str(worst.line),
                "line_of": worst.line_of,
            }
            for worst in self.worst
        ]


def _record(held: WorstPlace | Contribution) -> dict[str, Any]:
    return {name: _plain(value) for name, value in vars(held).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, (Figure, Staleness)):
        return value.to_dict()
    return plain(asdict(value)) if isinstance(value, Line) else plain(value)
