"""The document of `check`: a table for each code, what the code means, and how to fix it."""

from __future__ import annotations

from collections.abc import Sequence

from varshift._check.rule_pages import rule_page
from varshift._counting import counted
from varshift._draw.document import (
    Cell,
    Column,
    Document,
    Entries,
    Entry,
    Part,
    Row,
    Table,
    Tone,
)
from varshift._draw.documents.base import document
from varshift._draw.documents.cells import name, names, words
from varshift._draw.documents.parts import LEVELS, add_calculator
from varshift._draw.figures import fixed
from varshift._draw.pictures.described import Interval, Intervals
from varshift.results import Finding, Findings, Rule

__all__: list[str] = []

_MOST = 40  # findings in the picture; the tables have all
_POINTS = 3
_GRADED = f"Grades of the lower end of the band: {LEVELS}; no finding is below mild."


@document.register
def _findings(result: Findings) -> Document:
    made = Document(
        _head(result),
        tone=result.grade if result.findings else None,
        detail=_silenced(result),
        points=[f"{finding.message}." for finding in result.findings[:_POINTS]],
        meanings=[_GRADED] if result.findings else [],
        notes=result.notes,
    )
    parts: list[Part] = [_picture(result)] if result.findings else []
    for code, found in result.by_code().items():
        rule = found[0].rule
        parts += [_table(code, found), Entries([_entry(rule, result.docs)])]
    made.add(
        "findings",
        "Findings",
        "A table for each code. Most of what one rule finds is cured by one change.",
        parts,
    )
    made.add(
        "silenced",
        "Silenced",
        "Found all the same; a choice of codes or a pattern asked not to hear of it.",
        [_listed(result.silenced, "silenced finding")] if result.silenced else [],
    )
    made.add(
        "known",
        "Known",
        "Found all the same; the baseline has them, and none is worse than there.",
        [_listed(result.known, "known finding", "known")] if result.known else [],
    )
    if result.findings:
        add_calculator(made)
    return made


def _head(result: Findings) -> str:
    """How many findings, of how many norms and sources."""
    looked = f"{counted(result.norms, 'norm')}, {counted(result.sources, 'active noise source')}"
    found = counted(len(result.findings), "finding") if result.findings else "Nothing"
    if result.known and not result.findings:
        found = "Nothing new"
    return f"{found} above severity {result.max_severity:g}: {looked}."


def _silenced(result: Findings) -> str:
    """How many more there are that nobody asked to hear of."""
    if not result.silenced:
        return ""
    was = "was" if len(result.silenced) == 1 else "were"
    return f"{len(result.silenced)} more {was} found and silenced."


def _picture(result: Findings) -> Intervals:
    rows = [_interval(finding) for finding in result.findings[:_MOST]]
    drawn = len(rows)
    left_out = len(result.findings) - drawn
    return Intervals(
        "Severity of each finding, against what is allowed",
        f"severity, with its band where it has one; dashed: {result.max_severity:g}, what is "
        "allowed",
        rows,
        result.max_severity,
        caption=f"The worst {drawn} of {len(result.findings)}." if left_out else "",
    )


def _interval(finding: Finding) -> Interval:
    low = finding.severity if finding.low is None else finding.low
    high = finding.severity if finding.high is None else finding.high
    told = f"severity {_banded(finding)}, {finding.grade}"
    beside = f"{finding.code} {finding.place}"
    return Interval(finding.place, finding.severity, low, high, "train", told, beside)


def _table(code: str, found: Sequence[Finding]) -> Table:
    rule = found[0].rule
    columns = [
        Column("output" if code == "VS301" else "norm", numeric=False),
        _SEVERITY,
        *(
            [Column("noise", "the strongest source behind it; +1: one more", False)]
            if found[0].noises
            else []
        ),
        Column("line", "where it draws, or where the layer is made", False),
        Column("known by", "measured, or how it was predicted", False, True),
    ]
    rows = [Row(_cells(finding), finding.severity, finding.grade) for finding in found]
    below = [rule.summary, f"Fix: {rule.fix}.", f"More: varshift check --explain {code}"]
    return Table(f"{code} {rule.name}", columns, rows, below=below)


_SEVERITY = Column(
    "severity",
    "variance at test ÷ in training, or its inverse, whichever is larger; median over channels, "
    "with its band",
)


def _cells(finding: Finding) -> list[Cell]:
    noises = finding.noises
    return [
        name(finding.place, after=_further(len(finding.also))),
        Cell(_banded(finding), sort=finding.severity),
        *([name(noises[0], after=_further(len(noises) - 1))] if noises else []),
        name("—" if finding.line is None else finding.line.near),
        words(f"{finding.how}, on the {finding.basis}"),
    ]


def _listed(found: Sequence[Finding], noun: str, tone: Tone = "none") -> Table:
    """Findings of any code in one table."""
    columns = [
        Column("code", numeric=False),
        Column("where", "path of the norm, or name of the output", False),
        _SEVERITY,
        Column("noise", "the sources behind it, the strongest first", False),
        Column("line", "where it draws, or where the layer is made", False),
    ]
    rows = [
        Row(
            [
                Cell(finding.code),
                name(finding.place, after=_further(len(finding.also))),
                Cell(_banded(finding), sort=finding.severity),
                names(finding.noises),
                name("—" if finding.line is None else finding.line.near),
            ],
            finding.severity,
            tone,
        )
        for finding in found
    ]
    return Table(counted(len(rows), noun), columns, rows, wide=True)


def _further(count: int) -> str:
    return f" +{count}" if count else ""


def _banded(finding: Finding) -> str:
    """The severity with its band; of three figures and more without decimals."""
    digits = 2 if finding.severity < 100 else 0
    said = fixed(finding.severity, digits)
    if finding.low is None or finding.high is None or finding.high - finding.low < 0.005:
        return said
    return f"{said} ({fixed(finding.low, digits)}–{fixed(finding.high, digits)})"


def _entry(rule: Rule, docs: str) -> Entry:
    """Why, and the rule's page to unfold; the table above it has the rest."""
    own = docs.startswith(("https://", "http://"))  # a page's policy lets scripts alone
    return Entry(
        f"Why {rule.code} counts",
        [],
        rule.why,
        f"{rule.code} in the documentation",
        f"{docs.rstrip('/')}/{rule.code}.md" if own else rule.page,
        rule_page(rule.code),
    )
