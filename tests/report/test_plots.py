"""Static pictures for papers: what they draw is what the result holds."""

from __future__ import annotations

import builtins
import io
import math

import pytest
import torch
from matplotlib import pyplot
from matplotlib.figure import Figure
from torch import nn

import varshift as vs


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
            assert share is None or float(cell) == pytest.approx(float(share))
    assert image.get_clim() == (-1, 1)


def test_a_repair_draws_before_and_after(every, ax):
    r = every["repair"]
    r.plot(ax)
    names = [label.get_text() for label in ax.get_yticklabels()]
    scored = [candidate for candidate in r.candidates if candidate.score is not None]
    assert names[: 1 + len(scored)] == ["as trained", *(c.method for c in scored)]
    middles = [container[0].get_xdata()[0] for container in ax.containers]
    assert middles[: 1 + len(scored)] == pytest.approx(
        [r.before.loss, *(c.score.loss for c in scored)]
    )
    top, bottom = sorted(ax.get_ylim())
    assert ax.get_ylim() == (bottom, top)  # the first row at the top


def test_a_footprint_draws_its_intervals(every, ax):
    f = every["footprint"]
    f.plot(ax)
    drawn = [bar.get_segments()[0] for bar in ax.collections]
    ends = [tuple(segment[:, 0]) for segment in drawn]
    expected = [(site.low, site.high) for site in f.sites.values()]
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
