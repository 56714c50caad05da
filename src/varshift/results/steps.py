"""A step that a diagnosis advises: a line to copy, and the gain to expect of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from varshift._base import Record, plain
from varshift.results.explanation import Cause
from varshift.results.figure import Figure
from varshift.results.origin import LineOf, OriginLine
from varshift.results.repair import Candidate
from varshift.results.structure import Line

__all__ = ["Step", "StepKind"]

StepKind = Literal[
    "recalibrate",
    "relocate",
    "lower-rate",
    "set-momentum",
    "unfreeze",
    "mix-batches",
    "larger-batches",
    "separate-norms",
    "drop-running-statistics",
    "compare-data",
    "find-draw",
]


@dataclass(frozen=True, repr=False)
class Step(Record):
    """One thing to do.

    Attributes:
        kind: what it is.
        cause: the cause that it is meant for.
        line: a line of Python to copy.
        command: a line for the shell; "" where no command does it. TARGET, DATA and TEST_DATA in it
            are the arguments of the command that was run.
        place: the norm site (or output) that `before` and `after` are figures of.
        sources: the noise sources that it changes, by name.
        at_line: the line of the source to change, where it is about code.
        line_of: what that line is, as in `WorstPlace`.
        before: severity at `place` as it is, the median over channels as in `measure`: of noise
            that of training against evaluation, for "recalibrate" that of what is stored against
            evaluation. None where the step has no figure.
        after: the same once the step is done: predicted from what was recorded, weights held fixed.
        measured: recalibration tried on the held-out samples, paired with the model as lent, and
            taken back; None where it was not tried.

    >>> step = Step("recalibrate", "noise", "vs.recalibrate(model, data)", "", "bn")
    >>> step.kind, step.before is None
    ('recalibrate', True)
    """

    kind: StepKind
    cause: Cause
    line: str
    command: str = ""
    place: str = ""
    sources: tuple[str, ...] = ()
    at_line: Line | None = None
    line_of: LineOf = "nowhere"
    before: Figure | None = None
    after: Figure | None = None
    measured: Candidate | None = None

    @property
    def gain(self) -> float:
        """How much of the severity it takes off; 0 where that is not predicted."""
        if self.before is None or self.after is None:
            return 0.0
        return self.before.value - self.after.value

    def at(self, origins: Mapping[str, OriginLine]) -> Step:
        """The same, with the line of its first source from these, by name."""
        origin = next((origins[name] for name in self.sources if name in origins), None)
        return (
            self if origin is None else replace(self, at_line=origin.line, line_of=origin.line_of)
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        figures = {"before": self.before, "after": self.after}
        return {
            "kind": self.kind,
            "cause": self.cause,
            "line": self.line,
            "command": self.command,
            "place": self.place,
            "sources": list(self.sources),
            "at_line": None if self.at_line is None else plain(asdict(self.at_line)),
            "line_of": self.line_of,
            **{name: None if it is None else it.to_dict() for name, it in figures.items()},
            "measured": None if self.measured is None else self.measured.to_dict(),
        }
