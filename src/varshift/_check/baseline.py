"""A baseline: the findings that a project has today, so that only what is new or worse fails."""

from __future__ import annotations

import json
import math
import os
import shlex
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from varshift._base import plain
from varshift._counting import counted, verb
from varshift.errors import UsageError
from varshift.results import Finding, Findings, Note, NoteKind
from varshift.results.findings import SCHEMA as FINDINGS

__all__ = ["Baseline", "KnownFinding", "against", "baseline_of", "read_baseline"]

SCHEMA = "varshift.baseline/1"
_SLACK = 1.01  # by which a severity may grow: other machines and versions round otherwise


@dataclass(frozen=True)
class KnownFinding:
    """A finding of an earlier run: by code, norms and noises, never by line.

    `severity` and `high` are those of that run; infinite where its JSON has null.
    """

    code: str
    places: frozenset[str]
    noises: frozenset[str]
    severity: float
    high: float

    def covers(self, finding: Finding) -> bool:
        """Whether it is the same: this code, no norm and no noise that this one did not have."""
        return (
            finding.code == self.code
            and self.places.issuperset((finding.place, *finding.also))
            and self.noises.issuperset(finding.noises)
        )

    def exceeded_by(self, finding: Finding) -> bool:
        """Whether the finding's whole band lies above this one's, and by more than rounding."""
        low = finding.severity if finding.low is None else finding.low
        return low > self.high * _SLACK


@dataclass(frozen=True)
class Baseline:
    """What is known, and the name of the file that says so."""

    findings: tuple[KnownFinding, ...]
    name: str = ""


def baseline_of(found: Findings) -> dict[str, Any]:
    """All findings, JSON-ready, as `read_baseline` reads them: no line, no path of a machine.

    >>> baseline_of(Findings((), (), 1.1, 0, 0))
    {'schema': 'varshift.baseline/1', 'findings': []}
    """
    every = sorted((*found.findings, *found.known), key=lambda held: (held.code, held.place))
    return {"schema": SCHEMA, "findings": [_told(finding) for finding in every]}


def _told(finding: Finding) -> dict[str, Any]:
    told: dict[str, Any] = plain(
        {
            "code": finding.code,
            "place": finding.place,
            "also": sorted(finding.also),
            "noises": sorted(finding.noises),
            "severity": _rounded(finding.severity),
            "low": _rounded(finding.low),
            "high": _rounded(finding.high),
        }
    )
    return told


def _rounded(value: float | None) -> float | None:
    """To six digits: the file is to change where a figure does, not where its rounding does."""
    return None if value is None else float(f"{value:.6g}")


def read_baseline(path: str | Path, option: str = "--baseline") -> Baseline:
    """The baseline in a file: of `baseline_of`, or the JSON of an earlier check.

    Raises UsageError for no such file, and for one that is neither.
    """
    if not str(path):
        raise UsageError(f"{option} is empty; give a value, or leave the option out")
    path = Path(path)
    if os.path.isdir(path):
        raise UsageError(f"{option} {str(path)!r} is a folder; name the file in it")
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        how = f"; write it first: varshift check … --write-baseline {shlex.quote(str(path))}"
        raise UsageError(
            f"{option} {str(path)!r} cannot be read ({error.strerror})"
            f"{how if isinstance(error, FileNotFoundError) else ''}"
        ) from error
    except (ValueError, RecursionError) as error:  # which brackets within brackets end with
        raise UsageError(f"{option} {str(path)!r} is no JSON: {error}") from error
    schema = held.get("schema") if isinstance(held, dict) else None
    if schema not in (SCHEMA, FINDINGS):
        raise UsageError(
            f"{option} {str(path)!r} is no baseline: its schema is {schema!r}. "
            "Write one with --write-baseline, or with check --format json --out "
            f"{shlex.quote(str(path))}"
        )
    try:
        every = (*held["findings"], *held.get("known", ()))
        return Baseline(tuple(map(_known, every)), path.name)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{option} {str(path)!r} holds a finding without its code, place, noises and severity; "
            "write it again with --write-baseline"
        ) from error


def _known(told: Mapping[str, Any]) -> KnownFinding:
    # JSON has no infinity: null is one where the severity is null too, else a band that is none.
    severity = math.inf if told["severity"] is None else float(told["severity"])
    high = told.get("high")
    if isinstance(told["noises"], str) or math.isnan(severity):
        raise TypeError("noises are a list, and a severity is a number")
    return KnownFinding(
        code=str(told["code"]),
        places=frozenset((told["place"], *told.get("also", ()))),
        noises=frozenset(told["noises"]),
        severity=severity,
        high=max(severity, severity if high is None else float(high)),
    )


def against(found: Findings, baseline: Baseline, asked: Callable[[str], bool]) -> Findings:
    """The findings that the baseline does not have, or has with a smaller severity.

    The others become `known`. What was known, what is worse, and what is not found any more is
    said in notes; the last of codes that were `asked` for alone.
    """
    fresh: list[Finding] = []
    known: list[Finding] = []
    worse: list[tuple[Finding, KnownFinding]] = []
    for finding in found.findings:
        same = [entry for entry in baseline.findings if entry.covers(finding)]
        if not same:
            fresh.append(finding)
        elif all(entry.exceeded_by(finding) for entry in same):
            fresh.append(finding)
            worse.append((finding, max(same, key=lambda entry: entry.high)))
        else:
            known.append(finding)
    gone = [
        entry
        for entry in baseline.findings
        if asked(entry.code)
        and not any(_meets(entry, finding) for finding in (*found.findings, *found.silenced))
    ]
    notes = _notes(baseline.name, known, worse, gone)
    return replace(
        found,
        findings=tuple(fresh),
        known=(*found.known, *known),
        notes=(*notes, *found.notes),
    )


def _meets(entry: KnownFinding, finding: Finding) -> bool:
    return entry.code == finding.code and not entry.places.isdisjoint(
        (finding.place, *finding.also)
    )


def _notes(
    name: str,
    known: list[Finding],
    worse: list[tuple[Finding, KnownFinding]],
    gone: list[KnownFinding],
) -> list[Note]:
    said = []
    if known:
        codes = Counter(finding.code for finding in known)
        listed = ", ".join(f"{count} × {code}" for code, count in sorted(codes.items()))
        said.append(f"{_are(len(known))} known from the baseline {name} and left out: {listed}")
    if worse:
        finding, entry = worse[0]
        said.append(
            f"{_are(len(worse))} worse than in the baseline {name} (first {finding.code} at "
            f"{finding.place}: {finding.severity:.3g} against {entry.severity:.3g})"
        )
    if gone:
        first = gone[0]
        said.append(
            f"{_are(len(gone))} in the baseline {name} and not found any more (first {first.code} "
            f"at {min(first.places)}): write the baseline again, else it would pass if it came back"
        )
    return [Note(sentence, NoteKind.BASELINE) for sentence in said]


def _are(count: int) -> str:
    return f"{counted(count, 'finding')} {verb(count, 'are')}"
