from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import varshift as vs
from problems.documents import section, table, tables, texts
from varshift._check.rule_pages import rule_page
from varshift._draw.document import Entries, Table
from varshift._draw.documents import document
from varshift._draw.pictures.described import Intervals
from varshift.results import RULES
from varshift.results.catalogue import DOCUMENTATION


@pytest.fixture
def found(every):
    """Two findings of two codes, and a silenced one."""
    return every["findings"]


def test_the_answer_counts_and_the_worst_come_next(found):
    made = document(found)
    assert made.head == "2 findings above severity 1.1: 4 norms, 2 active noise sources."
    assert made.detail == "1 more was found and silenced."
    assert made.tone == "severe"
    assert [point.split("'")[3] for point in made.points] == ["third", "second"]


def test_each_code_has_a_table_with_what_it_means_and_how_to_fix_it(found):
    made = document(found)
    codes = [title.split()[0] for title in tables(made) if title.startswith("VS")]
    assert codes == ["VS102", "VS103"]
    for code in codes:
        held = table(made, code)
        rule = RULES[code]
        assert held.below == [
            rule.summary,
            f"Fix: {rule.fix}.",
            f"More: varshift check --explain {code}",
        ]
    (row,) = texts(table(made, "VS102"))
    finding = found.by_code()["VS102"][0]
    assert row["severity"] == f"{finding.severity:.2f} ({finding.low:.2f}–{finding.high:.2f})"
    assert row["noise"] == "drop"
    assert row["known by"] == "measured, on the data"
    assert [column.name for column in table(made, "VS102").narrow().columns] == [
        *("norm", "severity", "noise", "line")
    ]


def test_the_rule_is_folded_below_its_table_and_read_on_at_an_address(found):
    parts = section(document(found), "findings").parts
    assert isinstance(parts[0], Intervals)
    for held, entries in zip(parts[1::2], parts[2::2], strict=True):
        assert isinstance(held, Table)
        assert isinstance(entries, Entries)
        code = held.title.split()[0]
        (entry,) = entries.entries
        assert entry.folded == rule_page(code) != ""
        assert entry.formula == RULES[code].why
        assert entry.link == f"https://example.org/x/{code}.md"
        assert ".md" not in entry.page  # nobody who installed a wheel has that file
    (_, entries, *_) = section(document(replace(found, docs="")), "findings").parts[1:]
    assert entries.entries[0].link == f"{DOCUMENTATION}/rules/VS102.html"
    (_, entries, *_) = section(document(replace(found, docs="javascript:1")), "findings").parts[1:]
    assert entries.entries[0].link.startswith("https://")


def test_the_grade_is_that_of_the_lower_end(found):
    one = replace(found.findings[0], severity=3.0, low=1.3, high=9.0)
    assert document(replace(found, findings=(one,))).tone == "clear"
    exact = replace(one, low=None, high=None)
    assert document(replace(found, findings=(exact,))).tone == "severe"
    small = replace(found, findings=(replace(one, low=1.03),), max_severity=1.02)
    assert document(small).tone == "mild"  # more than is allowed is not nothing


def test_nothing_found_has_no_tables_and_no_grade():
    made = document(vs.check(nn.Sequential(nn.BatchNorm1d(3)), torch.randn(64, 3)))
    assert made.head == "Nothing above severity 1.1: 1 norm, 0 active noise sources."
    assert made.sections == []
    assert made.tone is None
    assert made.points == []


def test_what_was_silenced_is_left_to_a_wide_place(found):
    held = table(document(found), "1 silenced finding")
    assert held.wide
    assert texts(held)[0]["code"] == "VS106"
    assert all(title != held.title for title in (each.title for each in document(found).tables()))


def test_the_picture_has_the_worst_of_many(found):
    many = tuple(
        replace(found.findings[0], place=f"n{index}", severity=9.0 - index / 10)
        for index in range(60)
    )
    picture = section(document(replace(found, findings=many)), "findings").parts[0]
    assert len(picture.rows) == 40
    assert picture.caption == "The worst 40 of 60."
    assert picture.level == 1.1
    assert picture.rows[0].label == "VS103 n0"
    assert len(table(document(replace(found, findings=many)), "VS103").rows) == 60


def test_outputs_are_called_outputs(found):
    one = replace(found.findings[0], code="VS301", place="output", noises=())
    held = table(document(replace(found, findings=(one,))), "VS301")
    assert [column.name for column in held.narrow().columns] == ["output", "severity", "line"]
    assert all(len(row.cells) == len(held.columns) for row in held.rows)


def test_what_the_baseline_knows_is_counted_apart(found):
    left = document(replace(found, findings=(), known=found.findings))
    assert left.head.startswith("Nothing new above severity 1.1: ")
    assert left.tone is None
    held = table(left, "2 known findings")
    assert held.wide
    assert {row.tone for row in held.rows} == {"known"}
    assert [row["code"] for row in texts(held)] == [each.code for each in found.findings]
    some = replace(found, findings=found.findings[:1], known=found.findings[1:])
    assert document(some).head.startswith("1 finding above severity 1.1: ")
