"""Findings in the terminal: one table per code, how to fix it below, notes last."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from varshift.check import Finding, Findings
from varshift.check.catalogue import RULES
from varshift.report.accounts.findings import banded, head
from varshift.report.annotations import inside
from varshift.report.figures import shortened
from varshift.report.layout import MOST, columns, group, more, table

__all__: list[str] = []

# With a severity of 18 and three gaps of 2: 79 columns.
_PLACE, _NOISE, _LINE = 21, 18, 16


@table.register
def _findings(result: Findings) -> RenderableType:
    parts: list[RenderableType] = [Text(head(result), style="bold")]
    for code, held in result.by_code().items():
        parts.append(_of_code(code, held))
    lines = []
    if result.findings:
        lines.append(
            "Severity: variance at test ÷ in training, or its inverse, whichever is larger; median "
            "over channels, with its band where it has one."
        )
    if result.silenced:
        lines.append(f"{len(result.silenced)} more were found and silenced.")
    return group(parts, lines, result.notes)


def _of_code(code: str, held: tuple[Finding, ...]) -> RenderableType:
    rule = RULES[code]
    made = columns(f"{code} {rule.name}", *_headings(held))
    for finding in held[:MOST]:
        _row(made, finding)
    said = Text(f"{rule.summary} ", style="") + Text(f"({rule.page})", style="dim")
    return Group(made, *more(len(held)), said, Text(f"Fix: {rule.fix}."))


def _headings(held: tuple[Finding, ...]) -> tuple[str, ...]:
    first = "output" if held[0].code == "VS301" else "norm"
    return (first, "severity", *(("noise",) if held[0].noises else ()), "line")


def _row(made: Table, finding: Finding) -> None:
    further = f" +{len(finding.also)}" if finding.also else ""
    place = shortened(finding.place, _PLACE - len(further)) + further
    noises = finding.noises
    other = f" +{len(noises) - 1}" if len(noises) > 1 else ""
    noise = [shortened(noises[0], _NOISE - len(other)) + other] if noises else []
    made.add_row(*map(escape, (place, banded(finding), *noise, _where(finding))))


def _where(finding: Finding) -> str:
    if finding.line is None:
        return "—"
    file = inside(finding.line.file, Path.cwd()) or os.path.normpath(finding.line.file)
    line = f"{file.rsplit('site-packages/', 1)[-1]}:{finding.line.number}"
    if len(line) > _LINE:
        line = line.rpartition("/")[2]  # the folders go first
    return shortened(line, _LINE)
