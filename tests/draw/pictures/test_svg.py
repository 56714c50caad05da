"""Pictures as SVG: what is drawn is what they hold, and no words stand on others."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from problems.pictures import curves, depth, every, heat, routes
from varshift._draw.pictures.described import Cloud, Depth, Interval, Intervals, Series
from varshift._draw.pictures.placing import apart
from varshift._draw.pictures.svg import STYLE, element, image, svg
from varshift._draw.pictures.svg.canvas import Canvas

SIZES = [1, 4, 20, 34, 121, 300]
KINDS = list(every(2))

# DejaVu Sans is among the widest fonts that a browser shows pages in.
_FONT = FT2Font(font_manager.findfont("DejaVu Sans"))
_FONT.set_size(12, 72)


def length(words):
    _FONT.set_text(words)
    return _FONT.get_width_height()[0] / 64


def corners(mark):
    """Of a text's box, turned as it is turned."""
    x, y = float(mark.attributes["x"]), float(mark.attributes["y"])
    wide = length(mark.text)
    left = {"start": 0.0, "middle": -wide / 2, "end": -wide}[mark.attributes["text-anchor"]]
    turn = mark.attributes.get("transform", "rotate(0)").removeprefix("rotate(").split()[0]
    angle = math.radians(float(turn.rstrip(")")))
    flat = [(left, -9.0), (left + wide, -9.0), (left + wide, 2.5), (left, 2.5)]
    cos, sin = math.cos(angle), math.sin(angle)
    return [(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in flat]


def meet(one, other):
    """Whether two turned boxes overlap: no side of either parts them."""
    for box in (one, other):
        for (x0, y0), (x1, y1) in pairwise([*box, box[0]]):
            across = (y1 - y0, x0 - x1)
            ours, theirs = (
                [a * across[0] + b * across[1] for a, b in each] for each in (one, other)
            )
            if max(ours) <= min(theirs) or max(theirs) <= min(ours):
                return False
    return True


def words(canvas):
    return [mark for mark in canvas.marks if mark.tag == "text"]


def overlaps(canvas):
    boxes = [(mark.text, corners(mark)) for mark in words(canvas)]
    return [
        (first, second)
        for (first, one), (second, other) in combinations(boxes, 2)
        if meet(one, other)
    ]


def outside(canvas):
    return [
        mark.text
        for mark in words(canvas)
        for x, y in corners(mark)
        if not (-0.5 <= x <= canvas.width + 0.5 and -0.5 <= y <= canvas.height + 0.5)
    ]


def dots(canvas, role=""):
    return [
        mark
        for mark in canvas.marks
        if mark.tag == "circle" and mark.attributes["class"].startswith(role) and mark.hint
    ]


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_words_stand_on_others_or_beyond_the_paper(kind, count, narrow):
    canvas = svg(every(count)[kind], narrow=narrow)
    assert not overlaps(canvas)
    assert not outside(canvas)


def test_overlapping_words_would_be_seen():
    canvas = Canvas(200, 100, "two words")
    canvas.text(10, 50, "one word")
    canvas.text(40, 52, "another")
    canvas.text(190, 80, "beyond the paper")
    canvas.text(100, 60, "slanted", turn=-38, anchor="end")
    assert overlaps(canvas) == [("one word", "another")]
    assert set(outside(canvas)) == {"beyond the paper"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_phone_shows_all_of_it(kind):
    assert svg(every(121)[kind], narrow=True).width <= 360


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("count", SIZES)
def test_every_norm_has_its_dot_coloured_by_its_grade(count, narrow):
    picture = depth(count)
    canvas = svg(picture, narrow=narrow)
    found = dots(canvas, "grade-")
    assert [mark.attributes["class"] for mark in found] == [
        f"grade-{grade}" for grade in picture.series[0].grades
    ]
    across = [float(mark.attributes["cx"]) for mark in found]
    assert across == sorted(across)
    assert 0 < across[0] <= across[-1] < canvas.width
    # Equal factors are equal steps: heights are a straight line over the logarithm.
    heights = [float(mark.attributes["cy"]) for mark in found]
    values = [math.log(value) for value in picture.series[0].values]
    if count > 1:
        slope = (heights[1] - heights[0]) / (values[1] - values[0])
        for height, value in zip(heights, values, strict=True):
            assert height == pytest.approx(heights[0] + slope * (value - values[0]), abs=0.1)


def test_what_grades_mean_is_written_above():
    picture = depth(300)
    told = {mark.text for mark in words(svg(picture))}
    assert {"none", "mild > 1.1", "clear > 1.25", "severe > 2"} <= told
    clean = replace(picture.series[0], grades=["none"] * 300)
    told = {mark.text for mark in words(svg(replace(picture, series=[clean])))}
    assert "severe > 2" not in told


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("count", [40, 121, 300])
def test_the_norms_that_matter_are_named(count, narrow):
    picture = depth(count, named=6)
    told = [mark.text for mark in words(svg(picture, narrow=narrow))]
    for index in picture.named:
        assert any(text.startswith(f"{index + 1}: ") for text in told)


def test_few_norms_are_all_named_below():
    picture = depth(20)
    told = [mark.hint for mark in words(svg(picture))]
    assert set(picture.names) <= set(told)


def test_what_is_not_known_is_left_out():
    series = Series("test", "Δ", [0.5, math.nan, 0.9], [0.4, math.nan, 0.8], [0.6, math.nan, 1.0])
    canvas = svg(Depth("Δ", "Δ", ["a", "b", "c"], [series]))
    assert len(dots(canvas, "test")) == 2
    assert "nan" not in element(canvas)


def test_an_interval_without_end_does_not_flatten_the_rest():
    picture = depth(20)
    low = [1e-9, *picture.series[0].low[1:]]
    canvas = svg(replace(picture, series=[replace(picture.series[0], low=low)]))
    heights = [float(mark.attributes["cy"]) for mark in dots(canvas, "grade-")]
    assert max(heights) - min(heights) > 100


def test_a_shift_without_grades_has_the_colour_of_its_role():
    canvas = svg(curves(20))
    assert [len(dots(canvas, role)) for role in ("stored", "train", "test")] == [20] * 3
    assert {"stored", "training", "test"} <= {mark.text for mark in words(canvas)}


def test_many_channels_are_thinned_and_that_is_said():
    canvas = svg(Cloud("Channels", "norm", [1.0] * 2000, [1.0] * 2000))
    assert len(dots(canvas)) == 500
    assert canvas.caption == "One channel in 4 is shown."


def test_a_heat_map_writes_its_shares():
    picture = heat(3, 2)
    told = {mark.text for mark in words(svg(picture))}
    for share, _ in picture.shares.values():
        assert f"{round(100 * share)} %".replace("-", "−") in told
    blank = [m for m in svg(picture).marks if m.attributes["class"] == "blank" and not m.text]
    assert len(blank) == 3 * 2 - len(picture.shares) + 1  # and the one of the key


def test_routes_say_how_many_they_stand_for():
    told = [mark.text for mark in words(svg(routes(4)))]
    assert told.count("×40") == 2
    assert "layers.*.drop  0.5" in told


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_stands_for_itself(kind):
    for narrow in (False, True):
        text = image(svg(every(4)[kind], narrow=narrow))
        root = ElementTree.fromstring(text)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "script" not in text
        assert text.count("http") == 1  # the name of the namespace, which nobody fetches
        assert "url(" not in text
        assert "prefers-color-scheme: dark" in text


@pytest.mark.parametrize("kind", KINDS)
def test_every_mark_has_a_style(kind):
    """A class that no rule knows would be drawn in ink, or not at all."""
    used = {
        word
        for mark in svg(every(300)[kind]).marks
        for word in mark.attributes["class"].split()
        if word not in ("label", "a")  # the usual text, and the usual route
    }
    assert all(f".{word}" in STYLE for word in used), used


def test_names_are_text_and_nothing_else():
    hostile = '<script>alert("1")</script>\u202e\x1b[2J&\ud800\ufffe'
    picture = depth(4)
    text = image(svg(replace(picture, names=[hostile] * 4, about=hostile)))
    text.encode("utf-8")
    root = ElementTree.fromstring(text)
    assert "<script" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert {child.tag.rpartition("}")[2] for child in root} <= {
        *("style", "line", "text", "circle", "rect", "path")
    }


def test_300_norms_are_drawn_small():
    assert len(element(svg(depth(300))).encode()) < 120_000


def test_places_move_apart_within_their_span():
    moved = apart([float(place) for place in range(100, 108)], 14.0, 0.0, 250.0)
    assert all(b - a >= 14 - 1e-9 for a, b in pairwise(moved))
    assert min(moved) >= 0
    assert max(moved) <= 250


def test_a_repair_that_helped_is_green_and_says_so():
    rows = [
        Interval("distill", -0.2, -0.3, -0.1, "good", "", "distill, kept"),
        Interval("adjust", 0.1, -0.1, 0.3, "stored", ""),
    ]
    canvas = svg(Intervals("Change under each repair", "change", rows, 0.0))
    assert [mark.attributes["class"] for mark in canvas.marks if mark.tag == "circle"] == [
        "good",
        "stored",
    ]
    assert "distill, kept" in {mark.text for mark in words(canvas)}
