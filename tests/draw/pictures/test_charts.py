"""Charts hold their points, panels their pictures, and the same picture is the same file."""

from __future__ import annotations

import io

import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from varshift._draw.pictures.colours import CYCLE
from varshift._draw.pictures.described import Chart, Interval, Intervals, Panels, Points
from varshift._draw.pictures.matplotlib import draw, png

BAND = Points("band", [0, 1, 2], [1.0, 2.0, 3.0], [0.5, 1.5, 2.5], [1.5, 2.5, 3.5], colour=1)
DASHED = Points("dashed", [0, 2], [3.0, 1.0], style="dashed")
DOTS = Points("dots", [0, 1], [1.0, 1.5], colour=2, style="dots")
HOLLOW = Points("", [1, 2], [1.0, 1.5], colour=2, style="hollow")
CHART = Chart("a chart", "across", "up", [BAND, DASHED, DOTS, HOLLOW], level=1.0, caption="of it")
ROWS = Intervals("rows", "points", [Interval("one", 1.0, 0.5, 2.0, "train", "")], 0.0)


@pytest.fixture
def ax():
    return Figure().add_subplot()


def test_a_chart_has_its_points_their_styles_and_the_level(ax):
    assert draw(CHART, ax) is ax
    level, *lines = ax.lines
    assert list(level.get_ydata()) == [1.0, 1.0]
    for line, points in zip(lines, CHART.points, strict=True):
        assert list(line.get_xdata()) == list(points.across)
        assert list(line.get_ydata()) == list(points.up)
    assert [line.get_linestyle() for line in lines] == ["-", "--", "None", "None"]
    assert [line.get_fillstyle() for line in lines[2:]] == ["full", "none"]
    assert lines[0].get_color() == CYCLE[1].light
    (band,) = ax.collections
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices}
    assert {(0.0, 0.5), (2.0, 2.5), (1.0, 2.5), (2.0, 3.5)} <= corners
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("across", "up")
    assert ax.get_legend_handles_labels()[1] == ["band", "dashed", "dots"]


def test_a_chart_of_nothing_has_no_legend_and_no_level(ax):
    draw(Chart("nothing", "x", "y", []), ax)
    assert ax.get_legend() is None
    assert not ax.lines


def test_whole_places_have_whole_ticks(ax):
    draw(Chart("few", "x", "y", [Points("", range(4), [1.0, 2.0, 1.0, 2.0])]), ax)
    assert all(tick == int(tick) for tick in ax.get_xticks())


@pytest.mark.parametrize(
    "picture", [CHART, ROWS, Panels("both", [[CHART, CHART], [ROWS, ROWS]], caption="of $x$")]
)
def test_the_same_picture_is_the_same_file(picture):
    first = png(picture)
    assert png(picture) == first
    high, wide, _ = imread(io.BytesIO(first)).shape
    assert wide == 770
    assert high > 300


def test_panels_grow_with_what_is_in_them():
    def size(columns, rows):
        panels = Panels("", [[CHART] * columns] * rows)
        return imread(io.BytesIO(png(panels))).shape[:2]

    (high, wide), (higher, wider) = size(2, 1), size(4, 2)
    assert higher == 2 * high
    assert wider > wide
