"""What a page says in words agrees with its numbers, also where there is nothing to say."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from torch import nn

import varshift as vs
from problems.settling import settled
from varshift._draw.documents import document
from varshift._draw.page.clean import clipped
from varshift._visible import visible

X = torch.randn(400, 6, generator=torch.Generator().manual_seed(0)) + 1


class Forked(nn.Module):
    """One norm of two gets nothing but zeros."""

    def __init__(self):
        super().__init__()
        self.drop, self.one, self.two = nn.Dropout(0.5), nn.BatchNorm1d(6), nn.BatchNorm1d(6)

    def forward(self, x):
        return self.one(self.drop(x)) + self.two(0 * x)


def written(result, folder):
    return result.to_html(folder / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("verb", [vs.measure, vs.explain, vs.predict])
def test_a_dead_norm_has_no_figure_and_the_page_is_written(verb, tmp_path):
    torch.manual_seed(0)
    page = written(verb(Forked(), X.split(50)), tmp_path)
    assert not re.search(r"\bnan\b", page.partition("<script>")[0])
    assert "two" in page


def test_all_dead_is_not_called_fine(tmp_path):
    m = vs.measure(nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(6)), (0 * X).split(50))
    made = document(m)
    assert made.tone is None
    assert "none surely shifts" not in written(m, tmp_path)
    assert made.picture is None
    assert "dead channel" in " ".join(map(str, made.notes))


def test_without_noise_no_noise_is_blamed():
    net = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 6), nn.BatchNorm1d(6))
    net[0].running_var.fill_(9.0)  # stored statistics upstream that do not fit
    made = document(vs.measure(net, X.split(50)))
    assert made.tone == "severe"
    assert made.points
    assert not any("noise" in point for point in made.points)


def test_where_noise_comes_through_norms_its_source_is_named():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Dropout(0.3), nn.BatchNorm1d(6), nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 6),
        nn.BatchNorm1d(6), nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 6)),
        nn.BatchNorm1d(6),
    )  # fmt: skip
    words = " ".join(document(vs.measure(net, X.split(50))).points)
    assert "noise comes through earlier norms, from 0" in words or "directly behind 0" in words


def test_a_footprint_that_nothing_fits_is_no_clean_bill(tmp_path):
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(6, momentum=None)
    net = nn.Sequential(norm)
    for batch in X.split(25):
        norm(batch)
    fits = vs.footprint(net, X.split(25), places=["0"])
    (site,) = fits.sites.values()
    odd = replace(fits, sites={"0": replace(site, misfit=44.0, claimed=False, low=-float("inf"))})
    assert document(odd).head != document(fits).head
    assert "−∞ to" in written(odd, tmp_path)


def test_the_title_says_which_model(tmp_path):
    class Tower(nn.Sequential):
        pass

    page = written(vs.inspect(Tower(nn.Dropout(0.5), nn.BatchNorm1d(6)), X), tmp_path)
    assert "<title>varshift: Structure of Tower</title>" in page
    assert "Tower, 12 parameters, float32 on cpu" in page


def test_direction_characters_are_written_out(tmp_path):
    net = nn.Sequential()
    net.add_module("lay\u202eer", nn.Dropout(0.5))
    net.add_module("bn", nn.BatchNorm1d(6))
    page = written(vs.measure(net, X.split(50)), tmp_path)
    assert "\u202e" not in page
    assert "lay\\u202eer" in page


def test_visible_leaves_what_people_write():
    for text in ("layer1.0.bn2", "归一化层", "é — Δ", "two\nlines"):
        assert visible(text) == text
    assert visible("a\x00b\u2066c") == "a\\x00b\\u2066c"
    assert visible(3.5) == 3.5


def test_a_sentence_has_an_end():
    assert clipped("short") == "short"
    long = clipped("a" * 5000 + "end")
    assert len(long) < 610
    assert long.endswith("end")


def test_every_word_of_a_verdict_is_in_the_table():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 6), nn.BatchNorm1d(6))
    net = settled(net, X.split(50), 30)
    x = vs.explain(net, X.split(50))
    said = float(re.search(r"is ([\d.]+) of what", x.reason)[1])
    assert said == pytest.approx(x.factors["2"].noise.value, rel=1e-2)
