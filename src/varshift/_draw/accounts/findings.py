"""The account of findings that a notebook shows; the terminal has a table per code."""

from __future__ import annotations

from varshift._counting import counted
from varshift._draw.accounts.parts import MOST, Account, Name, Row, Sheet, Words, account
from varshift._draw.figures import fixed
from varshift.results import Finding, Findings

__all__ = ["banded", "head", "silenced"]


@account.register
def _findings(result: Findings, most: int = MOST) -> Account:
    rows = [
        Row(
            (
                finding.code,
                Name(finding.place),
                banded(finding),
                Name(", ".join(finding.noises) or "—"),
                Words(finding.how),
                Name("—" if finding.line is None else finding.line.near),
            )
        )
        for finding in result.findings[:most]
    ]
    headings = ("code", "place", "severity", "noise", "how", "line")
    sheets = [Sheet("", headings, rows, len(result.findings))] if rows else []
    lines = [f"Fix {code}: {held[0].rule.fix}." for code, held in result.by_code().items()]
    if result.silenced:
        lines.append(silenced(result))
    return Account(head(result), sheets, lines, notes=list(result.notes))


def head(result: Findings) -> str:
    """How many findings, of how many norms and sources."""
    sources = counted(result.sources, "active noise source")
    looked = f"{counted(result.norms, 'norm')}, {sources}"
    allowed = f"severity {result.max_severity:g}"
    if not result.findings:
        return f"Nothing above {allowed}: {looked}."
    return f"{counted(len(result.findings), 'finding')} above {allowed}: {looked}."


def silenced(result: Findings) -> str:
    """How many more there are that nobody asked to hear of."""
    was = "was" if len(result.silenced) == 1 else "were"
    return f"{len(result.silenced)} more {was} found and silenced."


def banded(finding: Finding) -> str:
    """The severity with its band; of three figures and more without decimals."""
    digits = 2 if finding.severity < 100 else 0
    said = fixed(finding.severity, digits)
    if finding.low is None or finding.high is None or finding.high - finding.low < 0.005:
        return said
    return f"{said} ({fixed(finding.low, digits)}–{fixed(finding.high, digits)})"
