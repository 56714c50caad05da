"""The page of `check`: what was found and how bad it is, then what each code means."""

from __future__ import annotations

from collections.abc import Sequence

from varshift._draw.figures import figure, shortened
from varshift._draw.page.bodies.plain import body
from varshift._draw.page.bodies.shared import add_what_if
from varshift._draw.page.parts import (
    Body,
    Cell,
    Column,
    Entries,
    Entry,
    Part,
    Table,
    counted,
    name_cell,
    names_cell,
    number_cell,
)
from varshift._draw.page.pictures import Interval, intervals
from varshift.results import Finding, Findings, Rule

__all__: list[str] = []

_MOST = 40  # findings in the picture; the table has all


@body.register
def _findings(result: Findings) -> Body:
    made = Body(_summary(result))
    if result.findings:
        made.add(
            "findings",
            "Findings",
            "One line per finding, the worst first; the bar is the band of its severity, where it "
            f"has one. Dashed: {result.max_severity:g}, what is allowed.",
            [_picture(result), _table(result.findings, "finding")],
        )
        rules = {finding.code: finding.rule for finding in result.findings}
        made.add(
            "rules",
            "What the codes mean, and what to do",
            "Most of what is found by one rule is cured by one change.",
            [
                Entries(
                    [
                        _entry(rules[code], held, result.docs)
                        for code, held in result.by_code().items()
                    ]
                )
            ],
        )
        add_what_if(made)
    if result.silenced:
        made.add(
            "silenced",
            "Silenced",
            "Found all the same; a choice of codes or a pattern asked not to hear of it.",
            [_table(result.silenced, "silenced finding")],
        )
    return made


def _summary(result: Findings) -> list[str]:
    looked = (
        f"{counted(result.norms, 'norm')} and {counted(result.sources, 'active noise source')} "
        "were looked at."
    )
    allowed = f"severity {result.max_severity:g}"
    if not result.findings:
        nothing = "Nothing new" if result.known else "Nothing"
        return [f"{nothing} shifts the variance by more than {allowed}. {looked}"]
    worst = result.findings[0]
    codes = ", ".join(
        f"{len(held)} × {code} {held[0].rule.name}" for code, held in result.by_code().items()
    )
    return [
        f"{counted(len(result.findings), 'finding')} above {allowed}. {looked}",
        f"Worst: {shortened(worst.message, 400)}.",
        f"By rule: {codes}.",
    ]


def _picture(result: Findings) -> Part:
    rows = [
        Interval(
            f"{finding.code} {shortened(finding.place, 17)}",
            finding.severity,
            finding.severity if finding.low is None else finding.low,
            finding.severity if finding.high is None else finding.high,
            "train",
            _told(finding),
        )
        for finding in result.findings[:_MOST]
    ]
    about = "Severity of each finding, against what is allowed"
    label = "severity: variance at test ÷ in training, or its inverse"
    return intervals(rows, result.max_severity, label, about)


def _told(finding: Finding) -> str:
    band = "" if finding.low is None else f" ({figure(finding.low, 3)} to {_high(finding)})"
    return f"{finding.place}: severity {figure(finding.severity, 3)}{band}"


def _high(finding: Finding) -> str:
    return "—" if finding.high is None else figure(finding.high, 3)


def _table(findings: Sequence[Finding], noun: str) -> Table:
    columns = [
        Column("code", numeric=False),
        Column("where", "path of the norm, or name of the output", False),
        Column("severity", "Δ or 1/Δ, whichever is larger; median over channels"),
        Column("from", "lower end of its band; — where it follows exactly from stored numbers"),
        Column("to", "upper end of its band"),
        Column("noise behind it", "the strongest first", False),
        Column("line", "that draws, or that constructs the layer", False),
        Column("known by", "measured, or how it was predicted", False),
    ]
    rows = [
        [
            Cell(finding.code, finding.code, finding.rule.name),
            _place(finding),
            number_cell(finding.severity, 3),
            number_cell(finding.low, 3),
            number_cell(finding.high, 3),
            names_cell(finding.noises),
            name_cell("—" if finding.line is None else finding.line.near),
            Cell(f"{finding.how}, on the {finding.basis}", finding.how),
        ]
        for finding in findings
    ]
    return Table(counted(len(rows), noun), columns, rows)


def _place(finding: Finding) -> Cell:
    cell = name_cell(finding.place)
    if not finding.also:
        return cell
    every = ", ".join((finding.place, *finding.also))
    return Cell(f"{cell.text} and {len(finding.also)} more", finding.place, every)


def _entry(rule: Rule, held: Sequence[Finding], docs: str) -> Entry:
    worst = max(held, key=lambda finding: finding.severity)
    return Entry(
        f"{rule.code} {rule.name}",
        [
            rule.summary,
            f"Here: {counted(len(held), 'finding')}, the worst {figure(worst.severity, 3)} at "
            f"{shortened(worst.place, 80)}.",
            f"Fix: {rule.fix}.",
        ],
        rule.why,
        rule.page,
        # A page's policy lets scripts alone; a link is checked here.
        f"{docs.rstrip('/')}/{rule.code}.md" if docs.startswith(("https://", "http://")) else "",
    )
