from __future__ import annotations

import math

from problems.documents import texts
from varshift._draw.document import Calculator
from varshift._draw.documents import document
from varshift.theory import calculator


def test_the_answer_comes_first_with_the_law_and_what_went_in():
    made = document(calculator.direct(calculator.amount(drop_p=0.5), mean=1.0, var=2.0))
    assert made.head == "Δ = 0.4"
    assert made.detail == (
        "Δ = v / (v + τ(c² + v)), noise straight into the norm, at drop_p 0.5, c 1, v 2, "
        "bound 0.95."
    )
    numbers, lines = made.sections[0].parts
    rows = {row["number"]: row for row in texts(numbers)}
    assert rows["severity"]["value"] == "2.5"
    assert rows["β"]["value"] == "—"
    assert rows["max τ"]["what it is"] == "the same for any noise"
    assert lines.title == "Over drop rates"
    assert [column.name for column in lines.columns][:2] == ["drop_p", "τ"]
    assert [row.tone for row in lines.rows] == [
        *("mild", "clear", "clear", "clear", "severe", "severe", "severe")
    ]
    assert isinstance(made.sections[-1].parts[0], Calculator)


def test_a_law_without_a_shift_has_no_grades():
    made = document(calculator.angle(576))
    lines = made.sections[0].parts[1]
    assert lines.title == "Over widths"
    assert {row.tone for row in lines.rows} == {"none"}


def test_a_dead_channel_and_no_end_are_words():
    dead = document(calculator.direct(calculator.amount(drop_p=0.5), mean=0.0, var=0.0))
    assert dead.head == "Δ = n/a"
    assert dead.notes
    shift = dead.sections[0].parts[0].rows[0].cells[1]
    assert (shift.text, shift.sort) == ("n/a", "")
    noise = calculator.amount(drop_p=0.5)
    wide = calculator.width(noise, 1.0, 1.0, 0.1, 5.0, slope=0.0, intercept=1.0)
    assert wide.outputs["min_width"] == math.inf
    assert "min d = ∞" in document(wide).head
