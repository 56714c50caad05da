"""What stands where on a page: first screen, main picture, tree, tables, two results."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

import varshift as vs
from problems.pages import FRAME, Reader, paged
from varshift._draw.page import render


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
    place = page.index("From here on: the result after the change.")
    assert page.index('<section id="trees"') < place < page.index('<section id="sites"')
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
