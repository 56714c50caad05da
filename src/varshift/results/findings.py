"""What `check` gives back: findings with the size of each, and what could not be looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Literal

from varshift._base import Result, plain
from varshift.results.catalogue import Rule, rule
from varshift.results.grading import Grade, grade_of, worst_grade
from varshift.results.structure import Line, in_a_file

__all__ = ["Basis", "Finding", "Findings"]

SCHEMA = "varshift.findings/1"

Basis = Literal["data", "checkpoint", "example"]


@dataclass(frozen=True)
class Finding:
    """One norm (or output) that something shifts by more than is allowed.

    Attributes:
        code: "VS102"; `rule` has the rest.
        place: path of the norm site, or the name of the output.
        noises: names of the noise sources behind it, the strongest first, then those of `also`;
            empty for statistics.
        severity: max(Δ, 1/Δ) as predicted or measured; of stored means 1 + their distance from
            those that arrive, in stored deviations, where that is surely more.
        low, high: its band; None where the figure follows exactly from stored numbers.
        shift: Δ itself, below 1 where the norm divides by too much; None for outputs.
        how: "measured", or how it was predicted, as in `Expected.how`.
        basis: "data", "checkpoint" (stored statistics and weights alone) or "example" (norms
            settled on the example).
        message: the finding in one sentence.
        line: where the noise is drawn, or the class that holds the norm; None where not known.
        also: further norms that the same shift is carried on to; this one is the worst.
        quiet: those of `noises` that a pattern silences, though not all: `--fix` leaves them.
    """

    code: str
    place: str
    noises: tuple[str, ...]
    severity: float
    low: float | None
    high: float | None
    shift: float | None
    how: str
    basis: Basis
    message: str
    line: Line | None
    also: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()

    @property
    def rule(self) -> Rule:
        """What the code stands for."""
        return rule(self.code)

    @property
    def grade(self) -> Grade:
        """How bad the lower end of its band is; at least "mild", for it is more than is allowed."""
        return worst_grade("mild", grade_of(self.severity if self.low is None else self.low))


@dataclass(frozen=True, repr=False)
class Findings(Result):
    """What `check` found. Its length is the number of findings: `if found:` means what it says.

    Attributes:
        findings: the worst first.
        silenced: what was found and silenced by `select`, `ignore` or a module pattern.
        max_severity: what is allowed.
        norms: norm sites of the model; `sources` active noise sources.
        notes: what could not be analysed, and what else a reader must know.
        known: found, but left out of `findings`: a baseline has them, and none is worse there.
        docs: URL of a folder with the rules' pages; "" where none was given.
        subject: the model in a few words, for reports.
    """

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "code",
        "place",
        "severity",
        "low",
        "high",
        "how",
        "basis",
        "noises",
        "line",
    )

    findings: tuple[Finding, ...]
    silenced: tuple[Finding, ...]
    max_severity: float
    norms: int
    sources: int
    notes: tuple[str, ...] = ()
    known: tuple[Finding, ...] = ()
    docs: str = field(default="", compare=False)
    subject: str = field(default="", compare=False)

    @property
    def grade(self) -> Grade:
        """That of the worst finding; "none" without any.

        >>> import torch, varshift as vs
        >>> vs.check(torch.nn.Sequential(torch.nn.BatchNorm1d(3)), torch.randn(64, 3)).grade
        'none'
        """
        return worst_grade(*(finding.grade for finding in self.findings))

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def at(self, line: Line | None) -> Findings:
        """The same, what has no line in a file shown at `line`: the factory's, for instance."""

        def shown(held: tuple[Finding, ...]) -> tuple[Finding, ...]:
            return tuple(f if in_a_file(f.line) else replace(f, line=line or f.line) for f in held)

        held = {name: shown(getattr(self, name)) for name in ("findings", "silenced", "known")}
        return replace(self, **held)  # type: ignore[arg-type]

    def by_code(self) -> Mapping[str, tuple[Finding, ...]]:
        """The findings by code, in the order of the codes."""
        codes = sorted({finding.code for finding in self.findings})
        return {code: tuple(f for f in self.findings if f.code == code) for code in codes}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: `findings`, `silenced`, `rules` by code, `notes`; `known` where any is."""
        known = {"known": [_finding(finding) for finding in self.known]} if self.known else {}
        return {
            "schema": SCHEMA,
            "max_severity": self.max_severity,
            "norms": self.norms,
            "sources": self.sources,
            "findings": [_finding(finding) for finding in self.findings],
            "silenced": [_finding(finding) for finding in self.silenced],
            "rules": {code: _rule(rule(code)) for code in self.by_code()},
            "notes": list(self.notes),
        } | known

    def rows(self) -> list[dict[str, Any]]:
        """One row per finding."""
        return [
            {
                "code": finding.code,
                "place": finding.place,
                "severity": finding.severity,
                "low": finding.low,
                "high": finding.high,
                "how": finding.how,
                "basis": finding.basis,
                "noises": list(finding.noises),
                "line": None if finding.line is None else str(finding.line),
            }
            for finding in self.findings
        ]


def _finding(finding: Finding) -> dict[str, Any]:
    held: dict[str, Any] = plain(asdict(finding))
    return held | {"name": finding.rule.name, "page": finding.rule.page}


def _rule(held: Rule) -> dict[str, Any]:
    return asdict(held) | {"page": held.page}
