"""Findings as SARIF 2.1.0, for code scanning and editors."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

from varshift._base import plain
from varshift._draw.annotations import inside
from varshift._version import __version__
from varshift._visible import flat
from varshift.results import RULES, Finding, Findings, Rule
from varshift.results.structure import in_a_file

__all__ = ["sarif"]

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_ROOT = "%SRCROOT%"


def sarif(result: Findings, folder: Path) -> dict[str, Any]:
    """One run: the rules that have findings, the findings, silenced ones as suppressed.

    Files inside `folder` are given relative to it, others as absolute URIs. Notes become
    notifications of the run.
    """
    codes = sorted({f.code for f in (*result.findings, *result.silenced)})
    results = [_result(finding, codes, folder) for finding in result.findings]
    results += [
        _result(finding, codes, folder, silenced=True) | {"suppressions": [{"kind": "external"}]}
        for finding in result.silenced
    ]
    run = {
        "tool": {
            "driver": {
                "name": "varshift",
                "version": __version__,
                "rules": [_rule(RULES[code], result.docs) for code in codes],
            }
        },
        "originalUriBaseIds": {_ROOT: {"uri": folder.resolve().as_uri().rstrip("/") + "/"}},
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [
                    {"level": "note", "message": {"text": flat(note)}} for note in result.notes
                ],
            }
        ],
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule, docs: str) -> dict[str, Any]:
    link = f"{docs.rstrip('/')}/{rule.code}.md" if docs else rule.page
    text = f"{rule.summary} {rule.why}. Fix: {rule.fix}."
    return {
        "id": rule.code,
        "name": "".join(part.capitalize() for part in rule.name.split("-")),
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": f"{rule.summary} {rule.why}"},
        "help": {
            "text": text,
            "markdown": f"{rule.summary}\n\n`{rule.why}`\n\n**Fix:** {rule.fix}.\n\n{link}",
        },
        "defaultConfiguration": {"level": "warning"},
        "helpUri": link,
    }


def _result(
    finding: Finding, codes: list[str], folder: Path, *, silenced: bool = False
) -> dict[str, Any]:
    names = (finding.place, *finding.also)
    location: dict[str, Any] = {
        "logicalLocations": [{"fullyQualifiedName": flat(name), "kind": "member"} for name in names]
    }
    if finding.line is not None and in_a_file(finding.line):
        location["physicalLocation"] = {
            "artifactLocation": _artifact(finding.line.file, folder),
            "region": {"startLine": max(finding.line.number, 1)},
        }
    return {
        "ruleId": finding.code,
        "ruleIndex": codes.index(finding.code),
        "level": "warning",
        "message": {"text": flat(finding.message)},
        "locations": [location],
        "partialFingerprints": {"varshift/v1": _fingerprint(finding, silenced)},
        "properties": plain(
            {
                "severity": finding.severity,
                "low": finding.low,
                "high": finding.high,
                "how": finding.how,
                "basis": finding.basis,
                "noises": finding.noises,
            }
        ),
    }


def _artifact(file: str, folder: Path) -> dict[str, str]:
    relative = inside(file, folder)
    if relative is None:
        return {"uri": Path(file).resolve().as_uri()}
    return {"uri": quote(relative, errors="replace"), "uriBaseId": _ROOT}


def _fingerprint(finding: Finding, silenced: bool) -> str:
    """The same for the same finding while figures and lines move.

    So noises go by name, not by strength, and VS106 and VS107 without the norm that is worst now:
    with all their norms where silenced, for those that are heard may have the same noises.
    """
    places = [finding.place]
    if finding.code in ("VS106", "VS107"):
        places = sorted((finding.place, *finding.also)) if silenced else []
    what = "\0".join((finding.code, *places, *sorted(finding.noises)))
    # Names come from the user's code and may hold what UTF-8 does not.
    return hashlib.sha256(what.encode("utf-8", "replace")).hexdigest()[:32]
