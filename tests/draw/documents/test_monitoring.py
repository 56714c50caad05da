from __future__ import annotations

import math
from dataclasses import replace

import pytest

from problems.documents import section, table, texts
from varshift._draw.documents import document
from varshift._draw.pictures.described import Lines


@pytest.fixture
def seen(every):
    return every["monitoring"]


def test_the_head_counts_norms_that_are_surely_above_the_threshold(seen):
    made = document(seen)
    assert made.head.startswith(
        "At step 5, 3 of 3 watched norms surely have a severity above 1.1; the largest is "
    )
    assert made.head.endswith(f", at {seen.last.worst.path}.")
    assert made.tone == "severe"
    assert made.detail.startswith("4 looks in 5 steps took ")
    worst = max(seen.last.norms.values(), key=lambda norm: norm.low)
    assert made.points[0].startswith(f"{worst.path}: Δ ")
    assert made.points[0].endswith("(severe)")
    assert "test_statistics" in made.following
    calm = document(replace(seen, threshold=100.0))
    assert calm.following == ""
    assert calm.head.startswith(
        "At step 5, none of 3 watched norms surely has a severity above 100"
    )


def test_every_norm_has_its_last_figures_its_largest_and_its_sources(seen):
    held = table(document(seen), "Step 5, over the last 4 looks")
    rows = {row["norm"]: row for row in texts(held)}
    assert list(rows) == ["second", "third", "fourth"]
    assert [rows[path]["rule"] for path in rows] == ["VS102", "VS103", "VS106"]
    assert rows["third"]["noise behind"] == "drop +1"
    largest = max(look.norms["third"].severity for look in seen.history)
    assert rows["third"]["largest"] == f"{largest:.2f}"
    assert all(row.tone == seen.last.norms[row.cells[0].text].grade for row in held.rows)
    beyond = table(document(replace(seen, threshold=100.0)), "Step 5")
    assert {row["largest"] for row in texts(beyond)} == {"—"}


def test_the_picture_has_a_line_for_each_norm_the_worst_at_the_end_first(seen):
    made = document(seen)
    picture = made.picture
    assert isinstance(picture, Lines)
    assert picture is section(made, "course").parts[0]
    assert picture.level == seen.threshold
    ends = [line.values[-1] for line in picture.lines]
    assert ends == sorted(ends, reverse=True)
    assert {line.name for line in picture.lines} == {"second", "third", "fourth"}
    assert all(list(line.steps) == [2, 3, 4, 5] for line in picture.lines)


def test_a_norm_without_a_figure_is_last_and_the_largest_of_none(seen):
    look = seen.last
    blind = replace(look.norms["third"], severity=math.nan, low=math.nan)
    odd = replace(seen, history=(replace(look, norms={**look.norms, "third": blind}),))
    assert odd.paths()[-1] == "third"
    row = next(row for row in table(document(odd), "Step").rows if row.cells[0].text == "third")
    assert (row.tone, row.weight) == ("none", 0.0)
    assert odd.largest("third") is None


def test_before_any_look_there_is_a_sentence_and_nothing_else(seen):
    made = document(replace(seen, history=(), steps=1, notes=("no noise reaches a norm",)))
    assert made.head == "No look was taken in 1 step."
    assert made.picture is None
    assert made.sections == []
    assert made.notes == ("no noise reaches a norm",)
