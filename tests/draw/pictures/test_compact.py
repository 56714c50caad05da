"""A picture in few words shows what the long one shows."""

from __future__ import annotations

import re

from problems.pages import paged
from varshift._draw.pictures.svg import STYLE, Canvas, compact, element, svg


def boxes(mark):
    """The corners of what a path of rectangles or strokes draws, as the long picture has them."""
    found = re.findall(r"M([-\d.]+) ([-\d.]+)(?:h([\d.]+)v([\d.]+)|L([-\d.]+) ([-\d.]+))", mark)
    return [
        tuple(float(number) for number in (one[:4] if one[2] else one[:2] + one[4:]))
        for one in found
    ]


def test_strokes_alike_become_one_path_with_all_of_their_places():
    canvas = Canvas(100, 50, "strokes and boxes")
    for x in range(30):
        canvas.line(x, 0, x, 9.5, "whisker")
        canvas.box(x, 10, 1, 5.25, "share", depth=0.5 if x % 2 else 1.0)
        canvas.line(x, 40, x, 45, "level", hint="told")
    short = compact(canvas)
    paths = {
        (mark.attributes["class"], mark.attributes.get("fill-opacity")): mark.attributes["d"]
        for mark in short.marks
        if mark.tag == "path"
    }
    assert boxes(paths["whisker", None]) == [(x, 0, x, 9.5) for x in range(30)]
    assert boxes(paths["share", "0.5"]) == [(x, 10, 1, 5.25) for x in range(1, 30, 2)]
    assert boxes(paths["share", "1"]) == [(x, 10, 1, 5.25) for x in range(0, 30, 2)]
    assert [mark.hint for mark in short.marks if mark.tag == "line"] == ["told"] * 30


def test_few_marks_stay_as_they_are():
    canvas = Canvas(100, 50, "five strokes")
    for x in range(5):
        canvas.line(x, 0.126, x, 9, "whisker")
    assert compact(canvas).marks == canvas.marks


def test_hints_are_left_out_where_nobody_can_tell_marks_apart():
    picture = paged(300).picture
    assert sum(mark.hint != "" for mark in compact(svg(picture)).marks) >= 300
    assert not any(mark.hint for mark in compact(svg(picture), 100).marks)


def test_a_dot_keeps_its_place_and_300_norms_take_less_room():
    canvas = svg(paged(300).picture)
    short = compact(canvas)

    def dots(one):
        return [
            (round(float(mark.attributes["cx"]), 1), round(float(mark.attributes["cy"]), 1))
            for mark in one.marks
            if mark.tag == "circle"
        ]

    assert len(dots(short)) == len(dots(canvas)) >= 300
    for one, other in zip(dots(short), dots(canvas), strict=True):
        assert abs(one[0] - other[0]) <= 0.11
        assert abs(one[1] - other[1]) <= 0.11
    assert len(element(short)) < 0.75 * len(element(canvas))


def test_filled_dots_are_round_ends_of_strokes_and_outlined_ones_stay():
    canvas = Canvas(100, 50, "dots")
    for x in range(30):
        canvas.dot(x, 7.5, "grade-severe", size=2.5)
        canvas.dot(x, 9, "test")
    filled, *outlined = compact(canvas).marks
    assert filled.tag == "path"
    assert filled.attributes["class"] == "grade-severe dots"
    assert filled.attributes["style"] == "stroke-width:5"
    assert filled.attributes["d"].split("h0")[:3] == ["M0 7.5", "M1 7.5", "M2 7.5"]
    assert [mark.tag for mark in outlined] == ["circle"] * 30
    assert f".dots.{filled.attributes['class'].split()[0]} " in STYLE
