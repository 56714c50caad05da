"""The page as a file: what is in it, that it is whole, that no name breaks out of its place."""

from __future__ import annotations

import base64
import builtins
import hashlib
import json
import math
import re
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from torch import nn

import varshift as vs
from problems.pages import Reader, paged
from varshift._draw.documents import document
from varshift._draw.page import render, writing
from varshift._visible import visible
from varshift.results.catalogue import DOCUMENTATION
from varshift.theory import dropout_ratio, tau_of

KINDS = [
    *("structure", "measurement", "explanation", "same-data", "prediction", "without-data"),
    *("footprint", "recalibration", "repair", "rewrite", "calculation", "findings", "monitoring"),
]
FRAME = {"summary", "missing", "notes", "words", "provenance"}
HOSTILE = "</script><img src=x onerror=alert(1)>'\"&{{ 7*7 }}‮$x$" + "ü" * 10_000


@pytest.fixture(scope="module")
def pages(every, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    return {
        name: result.to_html(folder / f"{name}.html").read_text(encoding="utf-8")
        for name, result in every.items()
    }


@pytest.mark.parametrize("name", KINDS)
def test_the_page_has_every_section_of_the_document_and_its_frame(every, pages, name):
    made = document(every[name])
    found = Reader(pages[name]).ids("section")
    assert set(found) - FRAME >= {section.key for section in made.sections}
    assert {"summary", "words", "provenance"} <= set(found)
    for note in made.notes:
        assert note[:40].replace("'", "&#39;") in pages[name]


@pytest.mark.parametrize("name", KINDS)
def test_a_page_is_one_sound_file(pages, name):
    page = pages[name]
    assert page.startswith("<!doctype html>")
    assert len(page.encode()) < 200_000
    tags = Reader(page).tags
    names = [at["id"] for _, at in tags if "id" in at]
    assert len(names) == len(set(names))
    links = {at["href"] for tag, at in tags if tag == "a"}
    inside = {link for link in links if link.startswith("#")}
    assert inside <= {f"#{name}" for name in names}
    # What a reader has: addresses, no files of a checkout.
    beyond = links - inside
    assert all(link.startswith(("https://", "http://")) for link in beyond)
    assert DOCUMENTATION in beyond
    assert not re.search(r"docs/[\w/]+\.md", page)
    fetched = [at for tag, at in tags if "src" in at or (tag == "link" and at["href"] != "data:,")]
    assert fetched == []
    assert not re.search(r"url\(|@import", page)


def test_only_its_own_script_may_run(pages):
    for page in (pages["measurement"], pages["structure"]):
        reader = Reader(page)
        (policy,) = [
            at["content"] for _, at in reader.tags if "content-security-policy" in str(at).lower()
        ]
        own = base64.b64encode(hashlib.sha256(reader.scripts[-1].encode()).digest()).decode()
        assert f"script-src 'sha256-{own}'" in policy
        assert policy.startswith("default-src 'none'")
        runs = [at for tag, at in reader.tags if tag == "script" and "type" not in at]
        assert len(runs) == 1


@pytest.mark.parametrize("name", KINDS)
def test_no_mark_is_drawn_nowhere(pages, name):
    geometry = {"x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height", "d"}
    for tag, attributes in Reader(pages[name]).tags:
        for key in geometry & attributes.keys():
            assert not re.search("nan|inf", attributes[key] or ""), (tag, attributes)
        assert "nan" not in attributes.get("style", "") if tag in ("i", "b", "span") else True


def test_the_first_screen_says_what_how_bad_where_and_what_to_do():
    page = render(paged(), "Diagnosis of Net")
    first = page.partition('<section id="summary"')[2].partition("</section>")[0]
    order = ["severe", "Noise shifts the variance", "It comes from", "net.stages.3.39.norm"]
    order += ["What to do", "vs.repair(model, data)", "varshift repair m", "vs.relocate(model, x)"]
    order += ["predicted severity 1.00"]
    places = [first.find(words) for words in order]
    assert -1 not in places
    assert places == sorted(places)
    assert first.count('class="copy"') == 3


def test_the_main_picture_comes_first_and_stands_once():
    made = paged()
    page = render(made, "")
    keys = [key for key in Reader(page).ids("section") if key not in FRAME]
    assert keys == ["depth", "tree", "sites", "channels", "rules", "what-if"]
    assert page.count(f'<div class="wide" style="--wide: {round(1.3 * 760)}px"') == 2  # and boxes
    made.sections = [section for section in made.sections if section.key != "depth"]
    keys = [key for key in Reader(render(made, "")).ids("section") if key not in FRAME]
    assert keys[0] == "picture"


def test_what_is_clean_is_folded_and_what_shifts_is_open():
    page = render(paged(40), "")
    folded = re.findall(r'<details class="clean"><summary.*?</summary>', page)
    assert folded
    assert all("none surely shifts" in line for line in folded)
    opened = re.findall(r"<details open><summary.*?</summary>", page)
    assert opened
    assert not any("none surely shifts" in line for line in opened)
    few = render(paged(8), "")
    assert '<details class="clean">' not in few
    assert 'class="all"' not in few  # nothing is folded, so nothing unfolds


def test_every_norm_is_in_the_tree_with_its_card():
    made = paged(121)
    page = render(made, "")
    tree = page.partition('<div class="tree"')[2].partition('<div class="tabled">')[0]
    assert tree.count('<li class="norm">') == 121
    assert tree.count('<dl class="card">') == 121
    places = [float(place) for place in re.findall(r'<b style="left:([\d.]+)%"', tree)]
    assert len(places) == 121
    assert all(0 <= place <= 100 for place in places)
    shifts = [leaf.shift for leaf in made.sections[0].parts[0].leaves]
    paths = [leaf.path for leaf in made.sections[0].parts[0].leaves]
    order = [paths.index(path) for path in re.findall(r'title="(net[^"]*norm)"', tree)]
    drawn = [shifts[index] for index in order]
    ranks = sorted(range(121), key=lambda index: drawn[index])
    assert [places[index] for index in ranks] == sorted(places)  # one axis for all


def test_a_table_of_more_than_twenty_rows_has_a_search():
    assert '<div class="search"' in render(paged(21), "")
    assert '<div class="search"' not in render(paged(20), "")


def test_a_grade_stands_once_in_a_row_as_colour_and_word():
    page = render(paged(4), "")
    rows = page.partition("<tbody>")[2].partition("</tbody>")[0].split("<tr")[1:]
    assert len(rows) == 4
    assert all(row.count('<span class="grade') == 1 for row in rows)
    assert 'class="grade severe">severe</span>' in rows[-1]
    assert rows[-1].count("severe") == 3  # the row, the colour and the word


def test_rules_are_folded_in():
    page = render(paged(4), "")
    rule = page.partition("Read the rule")[2].partition("</details>")[0]
    assert "<code>code</code>" in rule
    assert '<a href="https://example.org/x">a link</a>' in rule
    assert "<h4>Why</h4>" in rule
    assert "<pre><code>Δ = v</code></pre>" in rule


def test_two_results_stand_beside_each_other():
    page = render(paged(40, worst=0.98, seed=1), "Diagnosis of Net", beside=paged(40))
    keys = [key for key in Reader(page).ids("section") if key not in FRAME]
    assert keys == ["changed", "pictures", "trees", "sites", "channels", "rules", "what-if"]
    summary = page.partition('<section id="summary"')[2].partition("</section>")[0]
    assert summary.count('<div class="verdict') == 2
    assert summary.index("<h2>before</h2>") < summary.index("<h2>after</h2>")
    assert page.count('<div class="tree"') == 2
    assert len(set(re.findall(r'class="tree" style="(--one:[\d.]+%)"', page))) == 1
    changed = page.partition('id="changed"')[2].partition("</section>")[0]
    rows = changed.partition("<tbody>")[2].partition("</tbody>")[0].split("<tr")[1:]
    assert len(rows) == 40
    (last,) = [row for row in rows if "3.39.norm" in row]
    assert 'class="good"' in last
    assert "better" in last
    words = [re.findall(r"<td[^>]*>([^<\n]*)", row)[1] for row in rows]
    assert words == sorted(words, key=lambda word: word == "alike")  # what changed comes first
    assert {"alike", "better"} <= set(words)


def test_two_pictures_stand_on_one_scale():
    before, after = paged(40, worst=0.05), paged(40, worst=0.9)
    before.picture = replace(before.picture, series=[_wide(before.picture.series[0])])
    page = render(after, "", beside=before)
    pictures = page.partition('id="pictures"')[2].partition("</section>")[0]
    for kind in ("wide", "narrow"):
        drawn = re.findall(rf'<div class="{kind}".*?</svg>', pictures, re.DOTALL)
        numbers = [re.findall(r'text-anchor="end">([\d.e−]+)<', one) for one in drawn]
        places = [re.findall(r' y="([\d.]+)" text-anchor="end">[\d.e−]+<', one) for one in drawn]
        levels = [re.search(r'class="level" x1="[\d.]+" y1="([\d.]+)"', one)[1] for one in drawn]
        heights = [
            [float(place) - float(level) for place in held]
            for held, level in zip(places, levels, strict=True)
        ]  # a legend of more lines moves all of a picture down
        assert len(drawn) == 2
        assert numbers[0] == numbers[1] != []
        assert heights[0] == pytest.approx(heights[1], abs=0.2)


def _wide(series):
    """With one interval that has no end and one that is far too wide."""
    return replace(series, low=[0.0, 1e-9, *series.low[2:]], high=[9e9, math.inf, *series.high[2:]])


def test_a_pair_without_trees_is_compared_by_its_table(every, tmp_path):
    result = every["repair"]
    page = result.to_html(tmp_path / "pair.html", beside=result).read_text(encoding="utf-8")
    changed = page.partition('id="changed"')[2].partition("</section>")[0]
    headings = re.findall(r"<button[^>]*>(.*?)</button>", changed)
    assert any(heading.endswith(" before") for heading in headings)


def test_results_of_two_kinds_do_not_stand_beside_each_other(every, tmp_path):
    with pytest.raises(
        vs.UsageError, match=r"a Measurement cannot stand beside a Structure; pass two results of"
    ):
        every["measurement"].to_html(tmp_path / "page.html", beside=every["structure"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["measurement", "explanation", "findings"])
def test_a_result_beside_itself_has_not_changed(every, name, tmp_path):
    result = every[name]
    page = result.to_html(tmp_path / "pair.html", beside=result).read_text(encoding="utf-8")
    names = Reader(page).ids("section")
    assert len(names) == len(set(names))
    changed = page.partition('id="changed"')[2].partition("</section>")[0]
    assert not re.search(">(better|worse)<", changed)


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


def test_hostile_names_stay_in_their_places(tmp_path):
    torch.manual_seed(0)
    m = vs.measure(hostile_net(), torch.randn(40, 3).split(10))
    page = m.to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    reader = Reader(page)
    assert {tag for tag, _ in reader.tags} & {"img", "iframe"} == set()
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
    page = render(document(m), "")
    (preset,) = json.loads(Reader(page).scripts[0])
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
    page = render(document(s), "")
    assert f"The 400 first of {len(s.routes)}; to_dict() has all" in page
    assert page.count("<tr>") < 520


@pytest.mark.parametrize("beside", [False, True])
def test_300_norms_are_at_most_a_megabyte_and_written_in_a_second(beside):
    made = paged(300)
    start = time.process_time()
    page = render(made, "", beside=paged(300, seed=1) if beside else None)
    assert time.process_time() - start < 1
    assert len(page.encode()) < 1_000_000


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
        "assert 'jinja2' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
