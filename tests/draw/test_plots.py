"""`result.plot()`: the picture of a result on axes, and a notebook that shows it."""

from __future__ import annotations

import builtins
import io
import math
import warnings
from dataclasses import replace

import pytest
import torch
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

import varshift as vs
from problems.notebooks import executed
from varshift._draw.documents import document
from varshift._draw.pictures.colours import COLOURS
from varshift.results.explanation import Figure as Figure_

PLOTTED = [
    *("measurement", "prediction", "explanation", "repair", "footprint", "without-data"),
    "monitoring",
]


@pytest.fixture
def ax():
    return Figure().add_subplot()


def dots(ax):
    """The marks by place and value, with their colour."""
    return {
        (int(x), float(y)): line.get_color()
        for line in ax.get_lines()
        if line.get_marker() not in ("None", None, "")
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    }


def whiskers(ax):
    return {
        round(a[0]): (a[1], b[1])
        for bars in ax.collections
        for a, b in bars.get_segments()
        if a[0] == b[0]
    }


@pytest.mark.parametrize("name", PLOTTED)
def test_every_picture_saves_and_leaves_nothing_open(every, name):
    drawn = every[name].plot()
    for format in ("png", "pdf", "svg"):
        held = io.BytesIO()
        drawn.figure.savefig(held, format=format)
        assert held.tell() > 3000
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize("name", PLOTTED)
def test_it_draws_on_the_axes_that_are_given(every, name, ax):
    assert every[name].plot(ax) is ax


@pytest.mark.parametrize("name", ["measurement", "prediction", "without-data"])
def test_a_shift_is_drawn_by_depth_with_its_grades_and_intervals(every, name, ax):
    result = every[name]
    result.plot(ax)
    sites = list(result.sites.values())
    assert dots(ax) == {
        (place, site.shift): COLOURS[f"grade-{site.grade}"].light
        for place, site in enumerate(sites)
        if site.shift == site.shift
    }
    ends = [
        site.shift_interval if name == "measurement" else (site.low, site.high) for site in sites
    ]
    known = {
        place: pytest.approx(pair)
        for place, pair in enumerate(ends)
        if all(math.isfinite(end) and end > 0 for end in pair)
    }
    assert known
    assert whiskers(ax) == known
    assert [label.get_text() for label in ax.get_xticklabels()] == list(result.sites)
    assert ax.get_yscale() == "log"


def test_an_explanation_draws_its_blame(every, ax):
    x = every["explanation"]
    x.plot(ax)
    (image,) = ax.get_images()
    places = [label.get_text() for label in ax.get_yticklabels()]
    noises = [label.get_text() for label in ax.get_xticklabels()]
    assert noises == ["drop", "direct"]
    assert "first" not in places  # no noise reaches it
    for row, place in enumerate(places):
        for column, noise in enumerate(noises):
            share = x.blame.share.get((noise, place))
            cell = image.get_array()[row, column]
            assert (cell is pyplot.np.ma.masked) == (share is None)
            assert share is None or float(cell) == pytest.approx(100 * float(share))


def test_an_explanation_without_blame_draws_its_factors(ax):
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    x = vs.explain(net, torch.randn(40, 3).split(10))
    x.plot(ax)
    assert not ax.get_images()
    assert len(ax.get_lines()) >= 2


def test_a_repair_draws_the_change_of_each(every, ax):
    r = every["repair"]
    r.plot(ax)
    names = [label.get_text() for label in ax.get_yticklabels()]
    tried = [candidate for candidate in r.candidates if candidate.trial is not None]
    methods = [f"{c.method}, kept" if c.method == r.method else c.method for c in tried]
    assert names[: 1 + len(tried)] == ["as trained", *methods]
    ends = [tuple(bar.get_segments()[0][:, 0]) for bar in ax.collections[1:]]
    assert ends == [pytest.approx((c.trial.loss.low, c.trial.loss.high)) for c in tried]
    assert "change of held-out" in ax.get_xlabel().replace("\n", " ")


def test_a_footprint_draws_its_intervals(every, ax):
    f = every["footprint"]
    f.plot(ax)
    ends = [tuple(bar.get_segments()[0][:, 0]) for bar in ax.collections]
    assert ends == [
        pytest.approx((max(record.low, -1), min(record.high, 1))) for record in f.records()
    ]


def test_a_monitor_draws_a_line_for_each_norm(every, ax):
    result = every["monitoring"]
    result.plot(ax)
    named = {line.get_label(): list(line.get_ydata()) for line in ax.get_lines()}
    for path in result.paths():
        assert named[path] == [norm.severity for _, norm in result.course(path)]


@pytest.mark.parametrize(
    "name", ["structure", "recalibration", "rewrite", "calculation", "findings"]
)
def test_what_has_no_one_picture_says_where_there_are_some(every, name):
    kind = type(every[name]).__name__
    with pytest.raises(
        vs.UsageError, match=rf"this {kind} has no one picture to plot.*to_html\(path\)"
    ):
        every[name].plot()


def test_without_a_figure_for_any_norm_it_says_why(every):
    for name in ("measurement", "prediction", "footprint"):
        empty = replace(every[name], sites={}, skipped={"norm": "no batch reached it"})
        with pytest.raises(
            vs.UsageError, match=r"no one picture to plot \(.*no batch reached it\)"
        ):
            empty.plot()
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    unjudged = vs.repair(net, torch.randn(40, 3).split(10))
    with pytest.raises(vs.UsageError, match=r"no one picture to plot \(Not repaired: .+\)"):
        unjudged.plot()


def test_without_matplotlib_it_says_which_extra(every, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(vs.MissingExtraError, match=r"plot\(\) needs matplotlib.*\[report\]"):
        every["measurement"].plot()


def of_many(result, count):
    """The same kind of result with so many norms, or places."""
    names = [f"blocks.{index}.norm" for index in range(count)]
    if not isinstance(result, vs.Explanation):
        sites = list(result.sites.values())
        made = {
            name: replace(sites[index % len(sites)], path=name) for index, name in enumerate(names)
        }
        return replace(result, sites=made)
    noises = result.blame.noises
    share = {(noise, place): Figure_(0.1, 0.01) for noise in noises for place in names}
    blame = replace(result.blame, places=tuple(names), share=share)
    return replace(result, blame=blame)


@pytest.mark.parametrize("name", ["measurement", "prediction", "explanation", "footprint"])
def test_many_norms_get_every_so_many_a_name(every, name):
    ax = of_many(every[name], 300).plot()
    axis = ax.yaxis if name in ("explanation", "footprint") else ax.xaxis
    assert 20 <= len([label for label in axis.get_ticklabels() if label.get_text()]) <= 60


def test_a_name_is_no_formula(ax):
    net = nn.Sequential()
    net.add_module("a$b_{$c", nn.Dropout(0.5))
    net.add_module("$\\frac{", nn.BatchNorm1d(3))
    vs.measure(net, torch.randn(40, 3).split(10)).plot(ax)
    ax.figure.savefig(io.BytesIO(), format="png")
    assert ax.get_xticklabels()[0].get_text() == r"\$\frac{"


def test_a_name_in_a_script_that_the_font_lacks_is_drawn_all_the_same(every, ax):
    site = replace(every["measurement"].sites["second"], path="批量归一化")
    replace(every["measurement"], sites={"批量归一化": site}).plot(ax)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # matplotlib's own, of each glyph: docs/report.md
        ax.figure.savefig(io.BytesIO(), format="png")


def test_the_picture_is_that_of_the_document(every):
    """One telling: what axes show is what a page and a notebook show."""
    result = every["measurement"]
    (series,) = document(result).picture.series
    assert sorted(value for _, value in dots(result.plot())) == sorted(series.values)


# In a notebook -----------------------------------------------------------------------------------

CELL = """
import torch, varshift as vs
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
measured = vs.measure(net, torch.randn(80, 3).split(20))
measured.plot()
"""


def test_a_notebook_shows_the_picture_where_plot_is_the_last_line():
    pytest.importorskip("nbclient", reason="no nbclient; pip install '.[dev]'")
    figures = "from matplotlib import pyplot\npyplot.get_fignums()"
    (plotted, shown, after), _ = executed(CELL, "measured", figures)
    (picture,) = plotted["outputs"]
    assert picture["data"]["image/png"].startswith("iVBOR")
    size = picture["metadata"]["image/png"]
    assert (size["width"], size["height"]) == (504, 259)
    (page,) = shown["outputs"]
    assert "data:image/svg+xml" in page["data"]["text/html"]
    assert "<table>" in page["data"]["text/html"]
    (none,) = after["outputs"]
    assert none["data"]["text/plain"] == "[]"


def test_axes_of_its_own_are_shown_as_a_picture(every, ax):
    """Jupyter asks the type of what a cell ends with."""
    shown = every["measurement"].plot()
    assert isinstance(shown, Axes)
    data, size = type(shown)._repr_png_(shown)
    assert data.startswith(b"\x89PNG")
    assert size == {"width": 504, "height": 259}
    assert not hasattr(every["measurement"].plot(ax), "_repr_png_")
