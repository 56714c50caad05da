"""The line through the channels: its slope is τ, and it goes through the origin."""

from __future__ import annotations

import math

import pytest

from varshift._draw.pictures.described import Pattern
from varshift._draw.pictures.svg import svg
from varshift._draw.pictures.svg.scales import linear


def _ends(mark):
    x1, y1, x2, y2 = (float(mark.attributes[key]) for key in ("x1", "y1", "x2", "y2"))
    return (x1, y1), (x2, y2)


def _rays(canvas):
    return [mark for mark in canvas.marks if "slope" in mark.attributes["class"] and mark.hint]


def test_the_line_has_the_slope_of_tau_and_goes_through_the_origin():
    lever = [0.5 * index for index in range(1, 21)]
    excess = [0.4 * value for value in lever]
    canvas = svg(Pattern("channels of norm", "norm", lever, excess, 0.4, 0.3, 0.6))
    dots = [mark for mark in canvas.marks if mark.tag == "circle"]
    assert len(dots) == 20
    across, up = linear([0.0, *lever], 58, 278), linear([0.0, *excess], 286, 66)
    for dot, x, y in zip(dots, lever, excess, strict=True):
        assert float(dot.attributes["cx"]) == pytest.approx(across(x), abs=0.01)
        assert float(dot.attributes["cy"]) == pytest.approx(up(y), abs=0.01)
    rays = _rays(canvas)
    assert len(rays) == 3
    unit = (up(0.0) - up(1.0)) / (across(1.0) - across(0.0))  # what slope 1 is on paper
    for ray, slope in zip(rays, (0.3, 0.6, 0.4), strict=True):
        (x1, y1), (x2, y2) = _ends(ray)
        assert (x1, y1) == pytest.approx((across(0.0), up(0.0)), abs=0.01)
        assert (y1 - y2) / (x2 - x1) == pytest.approx(slope * unit, abs=2e-3)
        assert 58 <= x2 <= 278.01
        assert 66 <= y2 <= 286
    assert "drop_p 0.286" in rays[2].hint


def test_many_channels_are_thinned_and_an_end_without_number_has_no_line():
    lever = [1.0 + index / 1000 for index in range(1000)]
    canvas = svg(Pattern("channels of norm", "norm", lever, lever, 1.0, math.nan, 1.1))
    dots = [mark for mark in canvas.marks if mark.tag == "circle"]
    assert len(dots) == 250
    assert "One channel in 4" in canvas.caption
    assert len(_rays(canvas)) == 2
    assert not any("nan" in value for mark in canvas.marks for value in mark.attributes.values())
