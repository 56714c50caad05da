"""What changed between two results is said only where their errors let it be said."""

from __future__ import annotations

import math

import pytest

from varshift._draw.document import Cell, Column, Document, Leaf, Row, Table, Tree
from varshift._draw.page.changes import changed


def leaf(shift, error=0.01, path="bn", tone="clear"):
    return Leaf(path, tone, f"{shift:.2f}", shift, shift - 2 * error, shift + 2 * error)


def told(*leaves):
    made = Document("")
    made.add("tree", "", "", [Tree(leaves, "Δ")])
    return made


def words(table):
    return {str(row.cells[0]): str(row.cells[1]) for row in table.rows}


@pytest.mark.parametrize(
    ("before", "after", "word", "tone"),
    [
        (leaf(0.5), leaf(0.9, tone="none"), "better", "good"),
        (leaf(2.0), leaf(0.9), "better", "good"),  # nearer to 1 from the other side
        (leaf(0.9), leaf(0.5, tone="severe"), "worse", "severe"),
        (leaf(1.1), leaf(0.5), "worse", "clear"),
        (leaf(0.5, 0.2), leaf(0.7, 0.2), "alike", "none"),  # within their errors
        (leaf(0.5, 0.2, tone="none"), leaf(0.4, 0.01, tone="severe"), "alike", "none"),
        (leaf(0.9991, 0.0), leaf(0.9992, 0.0), "alike", "none"),  # sure, and nothing
        (leaf(math.nan), leaf(0.5), "not known", "none"),
    ],
)
def test_better_and_worse_are_sure(before, after, word, tone):
    (row,) = changed(told(before), told(after)).rows
    assert str(row.cells[1]) == word
    assert row.tone == tone
    assert [str(cell) for cell in row.cells[2:4]] == [before.tone, after.tone]
    assert [str(cell) for cell in row.cells[4:]] == [before.figure, after.figure]


def test_a_norm_that_only_one_has_is_said_to_be_so():
    table = changed(told(leaf(0.5), leaf(0.5, path="old")), told(leaf(0.5), leaf(0.5, path="new")))
    assert words(table) == {"new": "only after", "old": "only before", "bn": "alike"}
    assert table.title == "3 norms: 1 only after, 1 only before, 1 alike"


def listed(**rates):
    made = Document("")
    columns = [Column("source", numeric=False), Column("drop_p"), Column("line", numeric=False)]
    rows = [Row((Cell(key, "name"), Cell(str(value)), Cell("x"))) for key, value in rates.items()]
    made.add("noises", "", "", [Table("Noise sources", columns, rows)])
    return made


def test_without_trees_the_numbers_of_the_first_table_stand_beside_each_other():
    table = changed(listed(a=0.5, b=0.1), listed(a=0.2, c=0.3))
    assert [column.name for column in table.columns] == ["source", "drop_p before", "drop_p after"]
    assert [[str(cell) for cell in row.cells] for row in table.rows] == [
        ["a", "0.5", "0.2"],
        ["c", "—", "0.3"],
        ["b", "0.1", "—"],
    ]


def test_what_has_nothing_in_common_has_no_table():
    assert changed(Document("one"), listed(a=0.5)) is None
