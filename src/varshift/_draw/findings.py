"""Findings in the terminal: one table per code, how to fix it below, notes last."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from varshift._draw.accounts import MOST, Cell, Name, Row, Sheet
from varshift._draw.accounts.findings import banded, head, silenced
from varshift._draw.layout import group, sheet_parts, table
from varshift.results import RULES, Finding, Findings

__all__: list[str] = []


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
        lines.append(silenced(result))
    return group(parts, lines, result.notes)


def _of_code(code: str, held: tuple[Finding, ...]) -> RenderableType:
    rule = RULES[code]
    rows = [Row(_cells(finding)) for finding in held[:MOST]]
    sheet = Sheet(f"{code} {rule.name}", _headings(held), rows, len(held))
    said = Text(f"{rule.summary} ") + Text(f"({rule.page})", style="dim")
    return Group(*sheet_parts(sheet), said, Text(f"Fix: {rule.fix}."))


def _headings(held: tuple[Finding, ...]) -> tuple[str, ...]:
    first = "output" if held[0].code == "VS301" else "norm"
    return (first, "severity", *(("noise",) if held[0].noises else ()), "line")


def _cells(finding: Finding) -> list[Cell]:
    noises = finding.noises
    noise = [Name(noises[0], after=_further(len(noises) - 1))] if noises else []
    return [
        Name(finding.place, after=_further(len(finding.also))),
        banded(finding),
        *noise,
        Name("—" if finding.line is None else finding.line.near),
    ]


def _further(count: int) -> str:
    return f" +{count}" if count else ""
