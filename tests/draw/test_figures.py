"""Figures with their errors, and names cut to a width in columns of a terminal."""

from __future__ import annotations

import math

import pytest
from rich.cells import cell_len

from varshift._draw.figures import cells, fixed, measured, shortened
from varshift._draw.names import fitted


@pytest.mark.parametrize(
    ("value", "error", "digits", "written"),
    [
        (262.9, 4.223, 2, "263 ± 4"),
        (1234.5, 3.0, 2, "1235 ± 3"),
        (150.0, 12.0, 2, "150 ± 12"),
        (263.41, 0.04, 2, "263.41 ± 0.04"),
        (4e-5, 3e-6, 3, "4.0e-05 ± 3e-06"),
        (0.0, 3e-6, 3, "0e+00 ± 3e-06"),
        (1e-5, 3e-4, 3, "1e-05 ± 3e-04"),
        (2.5e6, 3e4, 2, "2.50e+06 ± 3e+04"),
        (0.5, 1e-4, 3, "0.5000 ± 0.0001"),
        (0.5, 1e-6, 3, "0.5000 ± 1e-06"),
        (0.512, 0.004, 3, "0.512 ± 0.004"),  # the normal case: as many decimals as the column has
        (8.11, 0.16, 2, "8.11 ± 0.16"),
        (1.0594, 0.0021, 2, "1.059 ± 0.002"),
        (1.1503, 0.0061, 2, "1.15 ± 0.01"),
        (1.0, 0.0, 3, "1.000"),
        (1.0, 1e-15, 3, "1.000"),  # rounding, not sampling
        (0.5, math.nan, 2, "0.50 ± n/a"),
        (math.nan, 1.0, 2, "n/a"),
        (-math.inf, 1.0, 2, "−∞"),
    ],
)
def test_the_error_decides_on_the_digits(value, error, digits, written):
    assert measured(value, error, digits) == written


def test_a_zero_has_no_sign():
    assert fixed(-0.0003) == "0.000"
    assert measured(-0.0004, 0.01) == "0.000 ± 0.010"
    assert fixed(-0.0006) == "-0.001"


@pytest.mark.parametrize("text", ["norm", "批量归一化.norm", "étage", "e\u0301tage"])
def test_columns_are_those_a_terminal_counts(text):
    assert cells(text) == cell_len(text)
    for width in range(2, 12):
        assert cell_len(shortened(text, width)) <= width


def test_names_that_differ_stay_apart():
    names = [
        f"{half}.stages.{number}.residual_block.batch_normalisation"
        for half in ("student", "teacher")
        for number in (0, 1)
    ]
    cut = fitted(names, 22)
    assert len(set(cut.values())) == 4
    assert cut[names[0]].startswith("student…0…")
    assert all(len(name) <= 22 for name in cut.values())


def test_names_without_parts_stay_apart_too():
    names = [f"{letter}{'x' * 50}_norm" for letter in "abc"]
    cut = fitted(names, 20)
    assert len(set(cut.values())) == 3
    assert max(map(len, cut.values())) <= 20


def test_what_cannot_be_told_apart_in_the_width_is_shown_in_full():
    names = [f"{'a' * 15}{letter}{'b' * 15}.{'c' * 15}{letter}.norm" for letter in "xy"]
    assert fitted(names, 10) == {name: name for name in names} or (
        len(set(fitted(names, 10).values())) == 2
    )


def test_a_name_that_fits_is_left_alone():
    assert fitted(["stages.0.norm", "x"], 13) == {"stages.0.norm": "stages.0.norm", "x": "x"}
