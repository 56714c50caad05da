"""Static pictures for papers: what they draw is what the result holds."""

from __future__ import annotations

import builtins
import io
import math
import pickle
import warnings
from dataclasses import replace
from itertools import pairwise

import matplotlib
import pytest
import torch
from matplotlib import pyplot
from matplotlib.figure import Figure
from torch import nn

import varshift as vs
from varshift.results.explanation import Figure as Figure_


def lines(ax):
    return {line.get_label(): line.get_ydata().tolist() for line in ax.get_lines()}


@pytest.fixture
def ax():
    return Figure().add_subplot()


@pytest.mark.parametrize(
    "name", ["measurement", "prediction", "explanation", "repair", "footprint", "without-data"]
)
def test_every_picture_saves_and_leaves_nothing_open(every, name):
    drawn = every[name].plot()
    for format in ("png", "pdf", "svg"):
        held = io.BytesIO()
        drawn.figure.savefig(held, format=format)
        assert held.tell() > 3000
    assert pyplot.get_fignums() == []


def test_a_measurement_draws_its_medians(every, ax):
    m = every["measurement"]
    assert m.plot(ax) is ax
    drawn = lines(ax)
    for label, side in (
        *(("stored", "stored"), ("training (noise on)", "train"), ("test (noise off)", "test")),
    ):
        medians = [float(getattr(site, side).var.quantile(0.5)) for site in m.sites.values()]
        assert drawn[label] == pytest.approx(medians, rel=1e-6)
    assert [label.get_text() for label in ax.get_xticklabels()] == list(m.sites)
    assert ax.get_yscale() == "log"


def test_a_prediction_draws_its_medians(every, ax):
    p = every["prediction"]
    drawn = lines(p.plot(ax))
    for label, side in (("training (noise on)", "var_train"), ("test (noise off)", "var_test")):
        medians = [float(getattr(site, side).quantile(0.5)) for site in p.sites.values()]
        assert drawn[label] == pytest.approx(medians, rel=1e-6)


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
    most = 100 * max(abs(float(share)) for share in x.blame.share.values())
    assert image.get_clim() == pytest.approx((-most, most))  # 10 % is not pale where it is most


def test_a_repair_draws_before_and_after(every, ax):
    r = every["repair"]
    r.plot(ax)
    names = [label.get_text() for label in ax.get_yticklabels()]
    scored = [candidate for candidate in r.candidates if candidate.score is not None]
    assert names[: 1 + len(scored)] == ["as trained", *(c.method for c in scored)]
    middles = [container[0].get_xdata()[0] for container in ax.containers]
    assert middles == pytest.approx([c.trial.loss.mean for c in scored])
    ends = [tuple(c[2][0].get_segments()[0][:, 0]) for c in ax.containers]
    intervals = [(c.trial.loss.low, c.trial.loss.high) for c in scored]
    assert ends == [pytest.approx(pair) for pair in intervals]
    assert "change of held-out" in ax.get_xlabel()
    assert f"95 % interval ({r.before.loss:.4g} as trained)" in ax.get_xlabel()
    top, bottom = sorted(ax.get_ylim())
    assert ax.get_ylim() == (bottom, top)  # the first row at the top


def test_a_footprint_draws_its_intervals(every, ax):
    f = every["footprint"]
    f.plot(ax)
    drawn = [bar.get_segments()[0] for bar in ax.collections]
    ends = [tuple(segment[:, 0]) for segment in drawn]
    expected = [(record.low, record.high) for record in f.records()]
    assert ends == [pytest.approx(pair) for pair in expected]


def test_a_name_is_no_formula(ax):
    net = nn.Sequential()
    net.add_module("a$b_{$c", nn.Dropout(0.5))
    net.add_module("$\\frac{", nn.BatchNorm1d(3))
    vs.measure(net, torch.randn(40, 3).split(10)).plot(ax)
    ax.figure.savefig(io.BytesIO(), format="png")
    assert ax.get_xticklabels()[0].get_text() == r"\$\frac{"


def test_what_has_no_one_picture_says_where_there_are_some(every):
    with pytest.raises(vs.UsageError, match=r"a Structure has no one picture.*to_html\(path\)"):
        every["structure"].plot()


def test_an_untouched_model_without_noise_has_no_blame_to_plot():
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    data = torch.randn(40, 3).split(10)
    with pytest.raises(vs.UsageError, match="no noise reaches a norm or an output"):
        vs.explain(net, data).plot()
    with pytest.raises(vs.UsageError, match="nothing was judged"):
        vs.repair(net, data).plot()


def test_without_matplotlib_it_says_which_extra(every, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(vs.MissingExtraError, match=r"plot\(\) needs matplotlib.*\[report\]"):
        every["measurement"].plot()


def test_many_norms_get_every_so_many_a_name(every):
    many = every["measurement"]
    site = many.sites["second"]
    sites = {f"blocks.{index}.norm": site for index in range(300)}
    ax = type(many)(sites, many.structure, 40, 5, {}).plot()
    assert 20 <= len(ax.get_xticklabels()) <= 40
    assert not math.isnan(ax.get_ylim()[0])


# What fits, where and how large it is drawn ------------------------------------------------------


def of_many(result, count):
    """The same kind of result with so many norms, or places and sources."""
    names = [f"blocks.{index}.norm" for index in range(count)]
    if not isinstance(result, vs.Explanation):
        sites = list(result.sites.values())
        return replace(result, sites={n: sites[i % len(sites)] for i, n in enumerate(names)})
    share = {(noise, place): Figure_(0.1, 0.01) for noise in names for place in names}
    blame = replace(result.blame, noises=tuple(names), places=tuple(names), share=share)
    return replace(result, blame=blame)


def drawn_labels(axis):
    """Boxes of the labels that have words, in the axis' own direction, in points."""
    figure = axis.axes.figure
    figure.savefig(io.BytesIO(), format="png")
    labels = [label for label in axis.get_ticklabels() if label.get_text()]
    return [label.get_window_extent() for label in labels]


@pytest.mark.parametrize("width", [3.3, 7.0])
@pytest.mark.parametrize("count", [1, 4, 20, 163])
@pytest.mark.parametrize("name", ["measurement", "prediction", "explanation", "footprint"])
def test_labels_are_as_many_as_there_is_room_for(every, name, count, width):
    ax = Figure(figsize=(width, 0.75 * width), dpi=100, layout="constrained").add_subplot()
    of_many(every[name], count).plot(ax)
    if name in ("explanation", "footprint"):
        boxes = drawn_labels(ax.yaxis)
        middles = sorted((box.y0 + box.y1) / 2 for box in boxes)
        room = 11.5
    if name != "footprint":
        boxes = drawn_labels(ax.xaxis)
        middles = sorted(box.x1 for box in boxes)
        room = 13
    gaps = [(b - a) * 0.72 for a, b in pairwise(middles)]
    assert all(gap >= room for gap in gaps)
    assert len(boxes) == count or 2 * room * len(boxes) > width * 72 / 4  # and no fewer than that
    assert {label.get_horizontalalignment() for label in ax.get_xticklabels()} <= {
        "right",
        "center",
    }


def test_a_new_figure_is_as_tall_as_its_rows(every):
    tall = [
        of_many(every[name], count).plot().figure.get_size_inches()[1]
        for name in ("explanation", "footprint")
        for count in (4, 40, 200)
    ]
    assert tall == [3.6, pytest.approx(8.4, abs=0.3), 10] * 2


def test_a_stored_value_of_one_norm_is_seen(every, ax):
    of_many(every["measurement"], 1).plot(ax)
    stored = next(line for line in ax.get_lines() if line.get_label() == "stored")
    assert stored.get_marker() == "D"


@pytest.mark.parametrize(
    ("name", "said"), [("measurement", "95 % interval of Δ"), ("without-data", "band of Δ")]
)
def test_errors_of_the_shift_are_drawn(every, ax, name, said):
    result = every[name]
    result.plot(ax)
    bars = next(found for found in ax.collections if found.get_label() == said).get_segments()
    tests = lines(ax)["test (noise off)"]
    known = 0
    for bar in bars:
        place, (low, high) = round(bar[0, 0]), bar[:, 1]
        site = list(result.sites.values())[place]
        ends = site.shift_interval if name == "measurement" else (site.low, site.high)
        wanted = tuple(end / site.shift for end in ends)
        assert (low / tests[place], high / tests[place]) == pytest.approx(wanted)
        known += high > low
    assert known


@pytest.mark.parametrize("size", [(3.3, 2.5), (7.0, 3.6)])
def test_the_legend_and_the_labels_are_in_nobodys_way(every, size):
    figure = Figure(figsize=size, layout="constrained")
    ax = every["measurement"].plot(figure.add_subplot())
    figure.savefig(io.BytesIO(), format="png")
    legend = ax.get_legend().get_window_extent()
    assert ax.bbox.x0 <= legend.x0
    assert legend.x1 <= ax.bbox.x1
    for line in ax.get_lines():
        assert (ax.transData.transform(line.get_xydata())[:, 1] < legend.y0).all()
    label = ax.yaxis.label.get_window_extent()
    assert label.y0 >= 0
    assert label.y1 <= figure.bbox.y1
    assert "median" in ax.get_ylabel()


@pytest.mark.parametrize("span", [(0.45, 0.55), (0.08, 0.13), (0.2, 1.7), (0.01, 3.0), (1e-3, 1e3)])
def test_figures_of_a_log_axis_are_plain_and_apart(every, span):
    figure = Figure(figsize=(3.3, 2.5), layout="constrained")
    ax = every["measurement"].plot(figure.add_subplot())
    ax.set_ylim(*span)
    figure.savefig(io.BytesIO(), format="png")
    labels = [*ax.get_yticklabels(), *ax.get_yticklabels(minor=True)]
    inside = [
        (place, label.get_text())
        for label in labels
        for place in [label.get_position()[1]]
        if label.get_text() and span[0] <= place <= span[1]
    ]
    assert len(inside) >= 2
    assert all(text == f"{place:.6g}" for place, text in inside)
    at = sorted(ax.transData.transform((0, place))[1] * 72 / figure.dpi for place, _ in inside)
    assert all(b - a > 8 for a, b in pairwise(at))


def test_no_route_does_not_look_like_none_of_the_variance(every, ax):
    every["explanation"].plot(ax)
    assert ax.patch.get_hatch()
    assert "hatched: no route" in ax.figure.axes[1].get_ylabel()


@pytest.mark.parametrize(("size", "seen"), [((7, 5), True), ((3.3, 4), True), ((2, 1.5), False)])
def test_shares_are_written_as_long_as_they_fit(every, size, seen):
    x = of_many(every["explanation"], 16)
    blame = replace(
        x.blame,
        noises=x.blame.noises[:8],
        share={pair: s for pair, s in x.blame.share.items() if pair[0] in x.blame.noises[:8]},
    )
    figure = Figure(figsize=size, layout="constrained")
    ax = replace(x, blame=blame).plot(figure.add_subplot())
    assert [text.get_text() for text in ax.texts] == ["10"] * 128
    assert {text._fitting() is not None for text in ax.texts} == {True} or not seen
    held = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        figure.savefig(held, format="svg")
    assert (held.getvalue().count(">10</text>") >= 128) is seen


def test_a_grid_of_plots_can_be_saved_and_pickled(every):
    figure = Figure(layout="constrained")
    for ax, name in zip(
        figure.subplots(2, 2).flat,
        ("measurement", "prediction", "explanation", "repair"),
        strict=True,
    ):
        assert every[name].plot(ax) is ax
    pickle.loads(pickle.dumps(figure)).savefig(io.BytesIO(), format="png")


def test_nothing_of_matplotlibs_settings_is_moved(every):
    before = dict(matplotlib.rcParams)
    for name in ("measurement", "prediction", "explanation", "repair", "footprint"):
        every[name].plot()
    assert dict(matplotlib.rcParams) == before


def test_without_a_figure_for_any_norm_it_says_why(every):
    for name in ("measurement", "prediction", "footprint"):
        empty = replace(every[name], sites={}, skipped={"norm": "no batch reached it"})
        with pytest.raises(vs.UsageError, match=r"nothing to plot \(norm: no batch reached it\)"):
            empty.plot()


def test_a_name_in_a_script_that_the_font_lacks_is_drawn_all_the_same(every, ax):
    site = every["measurement"].sites["second"]
    replace(every["measurement"], sites={"批量归一化": site}).plot(ax)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # matplotlib's own, of each glyph: docs/report.md
        ax.figure.savefig(io.BytesIO(), format="png")
