"""The page as a file: what is in it, that it is whole, that no name breaks out of its place."""

from __future__ import annotations

import builtins
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
import torch
from torch import nn
from varshift._draw.page.bodies import body

import varshift as vs
from varshift._draw.page import render, writing
from varshift._draw.page.scales import linear, log
from varshift._visible import visible
from varshift.results.catalogue import RULES
from varshift.theory import dropout_ratio, tau_of

# (result, sections that its numbers fill)
SECTIONS = [
    ("structure", ["routes", "noises", "norms", "what-if"]),
    ("measurement", ["depth", "sites", "channels", "routes", "noises", "what-if"]),
    (
        "explanation",
        [*("depth", "factors", "channels", "blame", "outputs"), *("routes", "noises", "what-if")],
    ),
    ("prediction", ["asked", "depth", "sites", "channels", "routes", "noises", "what-if"]),
    ("without-data", ["asked", "depth", "sites", "channels", "routes", "noises", "what-if"]),
    ("footprint", ["noise", "pattern", "what-if"]),
    ("recalibration", ["before-after"]),
    ("repair", ["before-after", "routes", "noises"]),
    ("rewrite", ["changes", "noises"]),
    ("calculation", ["figures"]),
    ("findings", ["findings", "rules", "what-if", "silenced"]),
]
HOSTILE = "</script><img src=x onerror=alert(1)>'\"&{{ 7*7 }}‮$x$" + "ü" * 10_000


class Reader(HTMLParser):
    """Tags, attributes and the text of scripts, as a browser would tell them apart."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.scripts, self.titles, self.inside = [], [], [], None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.titles += [value for name, value in attributes if name == "title"]
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] += data


@pytest.fixture(scope="module")
def pages(every):
    return {name: render(result) for name, result in every.items()}


@pytest.mark.parametrize(("name", "sections"), SECTIONS)
def test_each_result_shows_what_its_numbers_can_fill(every, pages, name, sections):
    tags = Reader(pages[name]).tags
    framed = {"summary", "notes", "missing", "words", "provenance"}
    found = [at["id"] for tag, at in tags if tag == "section" and at["id"] not in framed]
    assert found == sections
    for note in getattr(every[name], "notes", ()):
        assert note[:40].replace("'", "&#39;") in pages[name]


@pytest.mark.parametrize("name", [name for name, _ in SECTIONS])
def test_a_page_is_one_sound_file(pages, name):
    page = pages[name]
    assert page.startswith("<!doctype html>")
    assert len(page.encode()) < 200_000
    tags = Reader(page).tags
    names = [at["id"] for _, at in tags if "id" in at]
    assert len(names) == len(set(names))
    links = {at["href"] for tag, at in tags if tag == "a"}
    rules = {f"https://example.org/x/{code}.md" for code in RULES}  # where a reader said they are
    assert links <= {f"#{name}" for name in names} | rules
    fetched = [at for tag, at in tags if "src" in at or (tag == "link" and at["href"] != "data:,")]
    assert fetched == []
    assert not re.search(r"url\(|@import|https?:(?!//example.org/x/VS)", page)


@pytest.mark.parametrize("name", [name for name, _ in SECTIONS])
def test_no_mark_is_drawn_nowhere(pages, name):
    geometry = {"x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height", "d"}
    for tag, attributes in Reader(pages[name]).tags:
        for key in geometry & attributes.keys():
            assert not re.search("nan|inf", attributes[key] or ""), (tag, attributes)


def test_what_is_not_known_is_left_out_with_a_word(pages):
    assert "vs.measure(model, data).to_html(path)" in pages["structure"]
    assert "vs.inspect(model, example).to_html(path)" in pages["footprint"]
    assert "test_data=test_loader" in pages["same-data"]
    assert "test_data=test_loader" not in pages["explanation"]
    assert "vs.predict(model, data)" in pages["without-data"]
    assert "vs.predict(model, data)" not in pages["prediction"]


def test_provenance_names_versions_samples_and_date(pages):
    for words in (vs.__version__, str(torch.__version__), "random seed", "written", ">40<"):
        assert words in pages["measurement"].partition('id="provenance"')[2]
    assert "split off by seed 0" in pages["repair"]
    assert "masks come from generators of the call&#39;s own" in pages["footprint"]
    assert "torch.manual_seed" not in pages["footprint"]


def hostile_net():
    net = nn.Sequential()
    net.add_module(HOSTILE.replace(".", ""), nn.Dropout(0.5))
    net.add_module("b" + HOSTILE.replace(".", ""), nn.BatchNorm1d(3))
    return net


def test_hostile_names_stay_in_their_places():
    torch.manual_seed(0)
    m = vs.measure(hostile_net(), torch.randn(40, 3).split(10))
    page = render(m)
    reader = Reader(page)
    assert {tag for tag, _ in reader.tags} & {"img", "b", "iframe"} == set()
    assert not [at for _, at in reader.tags if any(key.startswith("on") for key in at)]
    assert len(reader.scripts) == 2
    (preset,) = json.loads(reader.scripts[0])
    assert preset["label"] == "…" + "ü" * 59
    name = next(iter(m.sites))
    assert visible(name) in reader.titles  # cut where it is shown, in full where a pointer rests
    assert "{{ 7*7 }}" in page  # a name is no template
    assert len(page) < 600_000


def test_a_name_that_no_encoding_has_is_still_written(tmp_path):
    net = nn.Sequential()
    net.add_module("half\ud83d", nn.BatchNorm1d(2))
    path = vs.inspect(net, torch.randn(4, 2)).to_html(tmp_path / "page.html")
    assert "half?" in path.read_text(encoding="utf-8")


def test_presets_repeat_what_was_measured():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Dropout(0.3), nn.BatchNorm1d(5))
    m = vs.measure(net, (2 * torch.randn(4000, 5) + 1).split(500))
    what_if = next(section for section in body(m).sections if section.key == "what-if").parts[0]
    (preset,) = what_if.presets
    site = m.sites["1"]
    channel = int((site.delta - site.shift).abs().argmin())
    law = dropout_ratio(
        torch.tensor(preset["mean"]), torch.tensor(preset["var"]), tau_of(preset["drop_p"])
    )
    assert preset["drop_p"] == pytest.approx(0.3)
    assert float(law) == pytest.approx(site.shift, abs=5 * float(site.delta_se[channel]))


def test_tables_that_grow_with_the_square_of_the_model_are_cut():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(2)

        def forward(self, x):
            return x + self.norm(self.drop(x))

    s = vs.inspect(nn.Sequential(*[Block() for _ in range(32)]), torch.randn(4, 2))
    assert len(s.routes) > 400
    page = render(s)
    assert f"the first 400 of {len(s.routes):,} routes; to_dict() has all" in page
    assert page.count("<tr>") < 520


def test_without_jinja2_it_says_which_extra(every, monkeypatch, tmp_path):
    real = builtins.__import__

    def without(name, *rest):
        if name == "jinja2":
            raise ImportError(name)
        return real(name, *rest)

    writing._template.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(vs.MissingExtraError, match=r"to_html\(\) needs jinja2.*varshift\[report\]"):
        every["structure"].to_html(tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_drawing_loads_no_more_than_it_draws():
    code = (
        "import sys, varshift\n"
        "assert not {'jinja2', 'matplotlib', 'rich', 'pandas'} & set(sys.modules)\n"
        "import varshift._draw\n"
        "assert 'matplotlib' not in sys.modules and 'pandas' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_notebook_gets_little_and_escaped():
    torch.manual_seed(0)
    shown = vs.measure(hostile_net(), torch.randn(40, 3).split(10))._repr_html_()
    tags = {tag for tag, _ in Reader(shown).tags}
    assert tags <= {"div", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "p"}
    assert len(shown) < 100_000
    many = vs.inspect(
        nn.Sequential(*[nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(2)) for _ in range(20)]),
        torch.randn(4, 2),
    )
    assert f"and {len(many.routes) - 100} more rows: to_frame() has all" in many._repr_html_()


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([1.0, 100.0], [1, 3, 10, 30, 100]),
        ([0.3, 1.0], [0.4, 0.6, 0.8, 1.0]),
        ([1.0, 1.0], None),
        ([], None),
        ([1e-30, 1e30], None),
    ],
)
def test_a_scale_has_round_numbers_within_it(values, ticks):
    scale = log(values, 0, 100)
    found = scale.ticks()
    assert 2 <= len(found) <= 8
    assert all(scale.low <= tick <= scale.high for tick in found)
    assert ticks is None or found == pytest.approx(ticks)


def test_scales_keep_order_and_ends():
    up = linear([-1.0, 3.0], 200.0, 0.0)
    assert up(-1.0) > up(0.0) > up(3.0)
    assert 0 <= up(3.0) < up(-1.0) <= 200
    assert up(float("nan")) != up(float("nan"))
    assert log([1.0, 10.0], 0, 1)(0.0) != log([1.0, 10.0], 0, 1)(0.0)
    assert linear([2.0, 2.0], 0, 10)(2.0) == pytest.approx(5)
