"""The page as a file: what is in it, that it is whole, that no name breaks out of its place."""

from __future__ import annotations

import base64
import builtins
import hashlib
import json
import re
import subprocess
import sys

import pytest
import torch
from torch import nn

import varshift as vs
from problems.pages import FRAME, Reader, paged
from varshift._draw.documents import document
from varshift._draw.page import render, writing
from varshift._visible import visible
from varshift.results.catalogue import DOCUMENTATION
from varshift.theory import dropout_ratio, tau_of

KINDS = [
    *("structure", "measurement", "explanation", "same-data", "prediction", "without-data"),
    *("footprint", "recalibration", "repair", "rewrite", "calculation", "findings", "monitoring"),
]
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
def test_300_norms_are_at_most_a_megabyte(beside):
    made = paged(300)
    page = render(made, "", beside=paged(300, seed=1) if beside else None)
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
