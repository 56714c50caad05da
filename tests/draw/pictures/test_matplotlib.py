"""Pictures by matplotlib: what is drawn is what they hold, whatever the size of the axes."""

from __future__ import annotations

import io
import math
import pickle
from dataclasses import replace
from itertools import pairwise

import matplotlib
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

import varshift as vs
from problems.pictures import curves, depth, every, heat, routes
from varshift._draw.pictures.colours import COLOURS
from varshift._draw.pictures.described import Heat, Interval, Intervals
from varshift._draw.pictures.matplotlib import draw, fresh_axes
from varshift.results.grading import GRADES

KINDS = [kind for kind in every(2) if kind != "routes"]


@pytest.fixture
def ax():
    return Figure().add_subplot()


def of_size(width, height=None):
    figure = Figure(figsize=(width, height or 0.75 * width), dpi=100, layout="constrained")
    return figure.add_subplot()


def saved(figure, format="png"):
    held = io.BytesIO()
    figure.savefig(held, format=format)
    return held.getvalue()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 20])
def test_every_picture_saves_and_leaves_nothing_open(kind, count):
    before = dict(matplotlib.rcParams)
    picture = every(count)[kind]
    ax = draw(picture, fresh_axes(picture))
    for format in ("png", "pdf", "svg"):
        assert len(saved(ax.figure, format)) > 3000
    assert pyplot.get_fignums() == []
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("kind", KINDS)
def test_it_draws_on_the_axes_that_are_given_and_can_be_pickled(kind, ax):
    picture = every(40)[kind]
    assert draw(picture, ax) is ax
    saved(pickle.loads(pickle.dumps(ax.figure)))


def test_routes_are_for_pages(ax):
    with pytest.raises(vs.UsageError, match=r"Routes is not drawn by matplotlib; to_html\(path\)"):
        draw(routes(3), ax)


def test_every_norm_has_its_dot_coloured_by_its_grade(ax):
    picture = depth(121)
    draw(picture, ax)
    (series,) = picture.series
    found = {
        (int(x), float(y)): line.get_color()
        for line in ax.get_lines()
        if line.get_marker() not in ("None", None, "")
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    }
    assert found == {
        (place, value): COLOURS[f"grade-{grade}"].light
        for place, (value, grade) in enumerate(zip(series.values, series.grades, strict=True))
    }
    ends = {(round(a[0]), a[1], b[1]) for bars in ax.collections for a, b in bars.get_segments()}
    assert ends == set(zip(range(121), series.low, series.high, strict=True))
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == ["none", *(f"{grade} > {least:g}" for grade, least in GRADES.items())]
    assert ax.get_yscale() == "log"


def test_curves_have_their_roles_and_labels(ax):
    picture = curves(20)
    draw(picture, ax)
    drawn = {line.get_label(): line for line in ax.get_lines()}
    assert list(drawn) == ["stored", "training", "test"]
    for one in picture.series:
        assert drawn[one.label].get_ydata().tolist() == one.values
        assert drawn[one.label].get_color() == COLOURS[one.role].light
    assert "channels" in ax.get_ylabel()


def test_a_heat_map_has_its_shares_and_what_has_no_route_is_hatched(ax):
    picture = heat(6, 4)
    draw(picture, ax)
    (image,) = ax.get_images()
    for row, place in enumerate(picture.places):
        for column, source in enumerate(picture.sources):
            share = picture.shares.get((source, place))
            cell = image.get_array()[row, column]
            assert (cell is pyplot.np.ma.masked) == (share is None)
            assert share is None or float(cell) == pytest.approx(100 * share[0])
    most = 100 * max(abs(share) for share, _ in picture.shares.values())
    assert image.get_clim() == pytest.approx((-most, most))  # 10 % is not pale where it is most
    assert ax.patch.get_hatch()
    assert "hatched: no route" in ax.figure.axes[1].get_ylabel()


@pytest.mark.parametrize(("size", "seen"), [((7, 5), True), ((3.3, 4), True), ((2, 1.5), False)])
def test_shares_are_written_as_long_as_they_fit(size, seen):
    places, sources = [f"norms.{i}" for i in range(16)], [f"drops.{i}" for i in range(8)]
    shares = {(source, place): (0.1, 0.01) for source in sources for place in places}
    ax = draw(Heat("shares", sources, places, shares), of_size(*size))
    count = len(shares)
    assert [text.get_text() for text in ax.texts] == ["10"] * count
    held = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        ax.figure.savefig(held, format="svg")
    assert (held.getvalue().count(">10</text>") >= count) is seen


def test_intervals_have_their_ends_marks_and_arrows(ax):
    rows = [
        Interval("a", 0.2, 0.1, 0.3, "train", "", mark=0.5),
        Interval("b", 0.4, -5.0, 9.0, "stored", "", hollow=True),
        Interval("c", 0.1, math.nan, math.nan, "data", ""),
    ]
    draw(Intervals("about", "label", rows, 0.0, -1.0, 1.0), ax)
    ends = [tuple(bar.get_segments()[0][:, 0]) for bar in ax.collections]
    assert ends == [(0.1, 0.3), (-1.0, 1.0)]
    marks = [
        (line.get_marker(), float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in ax.get_lines()
        if len(line.get_xdata()) == 1
    ]
    assert marks == [
        *(("o", 0.2, 0.0), ("x", 0.5, 0.0)),
        *(("<", -1.0, 1.0), (">", 1.0, 1.0), ("o", 0.4, 1.0)),
        ("o", 0.1, 2.0),
    ]
    hollow = {line.get_ydata()[0]: line.get_fillstyle() for line in ax.get_lines()[:-1]}
    assert hollow[1] == "none"
    assert hollow[2] == "full"
    top, bottom = sorted(ax.get_ylim())
    assert ax.get_ylim() == (bottom, top)  # the first row at the top


def test_bars_reach_from_one_to_their_factor(ax):
    picture = every(4)["bars"]
    draw(picture, ax)
    drawn = [
        bar.get_x() + bar.get_width() for container in ax.containers for bar in container.patches
    ]
    assert drawn == pytest.approx([v for factor in picture.factors for v in factor.values])
    assert all(bar.get_x() == 1 for container in ax.containers for bar in container.patches)


def test_the_first_lines_are_named_and_the_rest_are_grey(ax):
    picture = every(12)["lines"]
    draw(picture, ax)
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(names) == 8
    grey = [line for line in ax.get_lines() if line.get_color() == COLOURS["stored"].light]
    assert len(grey) == 12 - 8 + 1  # and the level
    assert ax.get_xlabel() == "step"


# What fits, where and how large it is drawn ------------------------------------------------------


def drawn_labels(axis):
    """Boxes of the labels that have words, in points."""
    saved(axis.axes.figure)
    labels = [label for label in axis.get_ticklabels() if label.get_text()]
    return [label.get_window_extent() for label in labels]


@pytest.mark.parametrize("width", [3.3, 7.0])
@pytest.mark.parametrize("count", [1, 20, 163])
@pytest.mark.parametrize("kind", ["depth", "boxes", "heat", "intervals", "bars"])
def test_labels_are_as_many_as_there_is_room_for(kind, count, width):
    picture = heat(count, count) if kind == "heat" else every(count)[kind]
    ax = draw(picture, of_size(width))
    sides = {"heat": "xy", "intervals": "y", "bars": "y"}.get(kind, "x")
    for side in sides:
        boxes = drawn_labels(ax.xaxis if side == "x" else ax.yaxis)
        middles = sorted(box.x1 if side == "x" else (box.y0 + box.y1) / 2 for box in boxes)
        room = 13 if side == "x" else 11.5
        assert all((b - a) * 0.72 >= room for a, b in pairwise(middles))
        # And no fewer than there is room for.
        assert len(boxes) == count or 2 * room * len(boxes) > width * 72 / 4


def test_a_new_figure_is_as_tall_as_its_rows():
    tall = [
        fresh_axes(every(count)[kind]).figure.get_size_inches()[1]
        for kind in ("heat", "intervals", "bars")
        for count in (4, 40, 200)
    ]
    assert tall == [3.6, pytest.approx(8.4, abs=0.3), 10] * 3
    assert fresh_axes(depth(300)).figure.get_size_inches().tolist() == [7.0, 3.6]


@pytest.mark.parametrize("size", [(3.3, 2.5), (7.0, 3.6)])
@pytest.mark.parametrize("picture", [depth(20), curves(20)], ids=["depth", "curves"])
def test_the_legend_and_the_labels_are_in_nobodys_way(picture, size):
    ax = draw(picture, of_size(*size))
    saved(ax.figure)
    legend = ax.get_legend().get_window_extent()
    assert ax.bbox.x0 <= legend.x0
    assert legend.x1 <= ax.bbox.x1
    values = [value for one in picture.series for value in one.values]
    heights = ax.transData.transform([(0, value) for value in values])[:, 1]
    assert (heights < legend.y0).all()
    label = ax.yaxis.label.get_window_extent()
    assert label.y0 >= 0
    assert label.y1 <= ax.figure.bbox.y1


@pytest.mark.parametrize("size", [(3.3, 2.5), (7.0, 3.6)])
@pytest.mark.parametrize("count", [60, 121, 300])
def test_the_norms_that_matter_are_named_and_no_name_covers_another(count, size, monkeypatch):
    from matplotlib.text import Text

    from varshift._draw.pictures.matplotlib import shown

    drawn = []

    class Seen(Text):
        def draw(self, renderer):
            super().draw(renderer)
            drawn.append((self.get_text(), self.get_window_extent(renderer)))

    ax = draw(depth(count), of_size(*size))
    saved(ax.figure)  # lays out
    monkeypatch.setattr(shown, "Text", Seen)
    saved(ax.figure)
    kept = [box for _, box in drawn[len(drawn) // 2 :]]  # laid out, then drawn
    assert len(kept) == 3
    legend = ax.get_legend().get_window_extent()
    boxes = [*kept, legend]
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
    assert all(ax.bbox.x0 - 1 <= box.x0 and box.x1 <= ax.bbox.x1 + 1 for box in kept)


@pytest.mark.parametrize("span", [(0.45, 0.55), (0.08, 0.13), (0.2, 1.7), (0.01, 3.0), (1e-3, 1e3)])
@pytest.mark.parametrize("side", ["x", "y"])
def test_figures_of_a_log_axis_are_plain_and_apart(side, span):
    ax = draw(every(4)["cloud"], of_size(3.3, 2.5))
    (ax.set_xlim if side == "x" else ax.set_ylim)(*span)
    saved(ax.figure)
    axis = ax.xaxis if side == "x" else ax.yaxis
    labels = [*axis.get_ticklabels(), *axis.get_ticklabels(minor=True)]
    index = 0 if side == "x" else 1
    inside = [
        (label.get_position()[index], label)
        for label in labels
        if label.get_text() and span[0] <= label.get_position()[index] <= span[1]
    ]
    assert len(inside) >= 2
    assert all(label.get_text() == f"{place:.6g}" for place, label in inside)
    boxes = [label.get_window_extent() for _, label in sorted(inside, key=lambda one: one[0])]
    ends = [(box.x0, box.x1) if side == "x" else (box.y0, box.y1) for box in boxes]
    assert all(one[1] < other[0] + 1 for one, other in pairwise(ends))


def test_a_name_is_no_formula(ax):
    draw(replace(depth(2), names=["$\\frac{", "a$b_{$c"]), ax)
    saved(ax.figure)
    assert [label.get_text() for label in ax.get_xticklabels()] == [r"\$\frac{", r"a\$b_{\$c"]


def test_a_grid_of_pictures_can_be_saved():
    figure = Figure(layout="constrained", figsize=(9, 9))
    for ax, kind in zip(figure.subplots(3, 3).flat, KINDS, strict=True):
        draw(every(12)[kind], ax)
    saved(pickle.loads(pickle.dumps(figure)))
