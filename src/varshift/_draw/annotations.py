"""Findings as workflow commands, which GitHub shows beside the line."""

from __future__ import annotations

import os
from pathlib import Path

from varshift._visible import visible
from varshift.results import Finding, Findings
from varshift.results.structure import in_a_file

__all__ = ["inside", "workflow_commands"]


def workflow_commands(result: Findings, folder: Path) -> str:
    """One `::warning` per finding and one `::notice` per note, files relative to `folder`.

    Values are escaped as the runner unescapes them: % and line breaks, in properties also : and ,.
    What names hold of other control characters is written out.
    """
    lines = [_warning(finding, folder) for finding in result.findings]
    lines += [f"::notice title=varshift::{_data(note)}" for note in result.notes]
    return "\n".join(lines)


def inside(file: str, folder: Path) -> str | None:
    """The file's path from `folder`, with slashes; None where it lies outside."""
    path = Path(file).resolve()
    root = folder.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else None


def _warning(finding: Finding, folder: Path) -> str:
    properties = {"title": f"{finding.code} {finding.rule.name}"}
    message = f"{finding.message}. {_capital(finding.rule.fix)}. {finding.rule.page}"
    if finding.line is not None:
        file = inside(finding.line.file, folder) if in_a_file(finding.line) else None
        if file is None:  # a library's, or of no file: nothing to show beside the user's code
            message += f" (drawn at {os.path.normpath(finding.line.file)}:{finding.line.number})"
        else:
            properties = {"file": file, "line": str(finding.line.number)} | properties
    joined = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::warning {joined}::{_data(message)}"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _data(text: str) -> str:
    # The older form of a command counts wherever in a line it stands.
    text = visible(text).replace("##[", "#\\u0023[")
    return text.replace("%", "%25").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
