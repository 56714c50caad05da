"""A footprint with two noises at a norm, the code's rates and places that fit as well."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from problems.documents import section, texts
from varshift._draw.documents import document
from varshift._draw.pictures.described import Intervals, Pattern
from varshift._draw.pictures.svg import svg
from varshift.results import Instead


@pytest.fixture(scope="module")
def found(every):
    """Three noises at two norms: `second` meets one before conv and one straight before it."""
    f = every["footprint"]
    second = replace(
        f["second"],
        coded=0.3,
        claimed=True,
        instead=(Instead("conv4", "element", 0.24, 0.18, 0.30),),
    )
    straight = {"place": "second", "placement": "a", "noise": "element", "coded": None}
    third = replace(f["third"], claimed=True, noise="channel", place="pool", coded=None)
    more = replace(
        second, **straight, drop_p=0.7, low=0.65, high=0.75, tau=0.7 / 0.3, instead=(), alike=()
    )
    clean = {path: replace(f[path], instead=(), coded=None) for path in ("first", "fourth")}
    return replace(f, sites={**f.sites, **clean, "second": second, "third": third}, further=(more,))


def terminal(result):
    console = Console(width=80, file=io.StringIO(), no_color=True)
    console.print(result.table())
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert max(map(len, lines)) <= 80
    return lines


def written(result, folder):
    return result.to_html(folder / "page.html").read_text(encoding="utf-8")


def test_a_terminal_has_a_row_for_each_noise(found):
    lines = terminal(found)
    # Norms and noises are counted apart, and the largest one is of those in `further`.
    head = "Severe. Noise in training is claimed at 2 of 4 norms, 3 noises in all; most at second, "
    said = " ".join(lines)
    assert said.startswith(f"{head}drop_p 0.700 (0.650 to 0.750) before the norm.")
    start = next(index for index, line in enumerate(lines) if line.startswith("norm "))
    assert lines[start].split() == [
        *("norm", "drop_p", "code", "95", "%", "claimed", "placed", "misfit")
    ]
    rows = lines[start + 1 : start + 6]
    assert [row.split()[0] for row in rows] == ["first", "second", "second", "third", "fourth"]
    assert rows[1].split()[2] == "0.3"
    assert "yes" in rows[1]
    assert "before the norm" in rows[2]
    assert "—" in rows[2]
    assert "before pool (maps)" in rows[3]


def test_a_terminal_says_what_fits_as_well_and_what_the_words_mean(found):
    said = " ".join(terminal(found))
    assert "second: before conv, or before conv4: 0.240 (0.180 to 0.300); its channels" in said
    assert "Code: drop_p of the dropout that the model still has there." in said
    assert "maps: whole ones were dropped" in said


def test_where_no_code_and_no_other_place_is_known_nothing_is_said_of_them(found, tmp_path):
    bare = {path: replace(one, coded=None, instead=()) for path, one in found.sites.items()}
    lines = terminal(replace(found, sites=bare))
    assert not any("code" in line.lower() or "fit either" in line for line in lines)
    page = written(replace(found, sites=bare), tmp_path)
    assert "in the code" not in page
    assert "fit either" not in page


def test_long_names_leave_the_figures_their_room(found):
    name = "backbone.stages.3.blocks.11.attention.projection.norm"
    second = replace(found["second"], path=name, place=f"{name}.conv")
    more = (replace(found.further[0], path=name, place=name),)
    sites = {**found.sites, name: second}
    del sites["second"]
    lines = terminal(replace(found, sites=sites, further=more))
    (row,) = [line for line in lines if "0.700" in line and "0.650 to 0.750" in line]
    assert row.split()[1:] == [
        "0.700",
        "—",
        "0.650",
        "to",
        "0.750",
        "yes",
        "before",
        "the",
        "norm",
        "0.6",
    ]


def test_what_is_left_off_are_noises_not_norms(found):
    many = {f"b{index}": replace(found["second"], path=f"b{index}") for index in range(20)}
    more = tuple(replace(found.further[0], path=path) for path in many)
    lines = terminal(replace(found, sites=many, further=more))
    assert "claimed at 20 of 20 norms, 40 noises in all" in lines[0]
    assert any("25 worst of 40" in line for line in lines)
    said = " ".join(terminal(replace(found, sites=many, further=())))
    assert said.count("its channels fit either") == 5
    assert "15 more fit another place as well; to_dict() has all." in said


def test_the_largest_noise_comes_first(found):
    made = document(found)
    assert made.tone == "severe"
    assert made.points == [
        "second: drop_p 0.700 (0.650 to 0.750) before the norm",
        *(_point(found[path]) for path in ("second", "third")),
    ]
    one = document(replace(found, sites={"second": found["second"]}, further=()))
    assert one.head.startswith("Noise in training is claimed at 1 of 1 norm; at second, drop_p ")
    assert one.points[0].endswith("before conv; in the code now 0.3")


def _point(site):
    ends = f"{site.drop_p:.3f} ({site.low:.3f} to {site.high:.3f})"
    where = "before conv; in the code now 0.3" if site.path == "second" else "before pool (maps)"
    return f"{site.path}: drop_p {ends} {where}"


def test_no_claim_is_graded_and_a_misfit_is_no_clean_bill(found):
    none = {path: replace(one, claimed=False) for path, one in found.sites.items()}
    made = document(replace(found, sites=none, further=()))
    assert made.head == (
        "No noise in training is claimed: at 1 of 4 norms no single noise fits what is stored."
    )
    assert made.detail.startswith(f"The misfit is up to {found['fourth'].misfit:.3g}, where 1 is")
    assert made.tone is None
    assert made.following == ""
    assert {row.tone for row in section(made, "noise").parts[1].rows} == {"none"}
    fits = {path: replace(one, misfit=1.0) for path, one in none.items()}
    clean = document(replace(found, sites=fits, further=()))
    assert clean.head.startswith("No noise in training is claimed at any of 4 norms: what they")
    assert clean.detail == ""


def test_the_grade_is_that_of_the_shift_the_noise_makes(found):
    site = replace(found["second"], added=0.3, tau=1.0, tau_se=0.05)
    assert site.grade == "clear"  # 1.3 less 2·0.3·0.05 is 1.27
    assert replace(site, tau_se=0.1).grade == "mild"
    assert replace(site, claimed=False).grade == "none"


def test_a_row_for_each_noise_with_code_and_other_places(found):
    picture, held = section(document(found), "noise").parts
    assert held.title == "Noise that each norm remembers: 5 noises at 4 norms"
    rows = texts(held)
    assert [row["norm"] for row in rows] == ["first", "second", "second", "third", "fourth"]
    assert [row["code"] for row in rows] == ["—", "0.3", "—", "—", "—"]
    assert [row["claimed"] for row in rows] == ["no", "yes", "yes", "yes", "no"]
    assert rows[1]["placed"] == "before conv +1"
    assert rows[3]["placed"] == "before pool (maps)"
    assert isinstance(picture, Intervals)
    assert [row.label for row in picture.rows] == [
        *("first", "conv → second", "second", "third", "fourth")
    ]
    assert [row.mark for row in picture.rows] == [None, 0.3, None, None, None]
    assert [row.hollow for row in picture.rows] == [True, False, False, False, True]
    assert "in the code 0.3" in picture.rows[1].told


def test_the_mark_stands_where_the_scale_has_its_rate(found):
    canvas = svg(document(found).picture)
    (mark,) = [mark for mark in canvas.marks if mark.attributes["class"] == "mark"]
    # The mark stands where the scale has 0.3: between its ticks at 0.2 and 0.4.
    ticks = {
        one.text: float(one.attributes["x"])
        for one in canvas.marks
        if one.attributes.get("text-anchor") == "middle"
    }
    low, high = sorted(ticks, key=lambda text: abs(float(text.replace("−", "-")) - 0.3))[:2]
    ends = [(float(text.replace("−", "-")), ticks[text]) for text in (low, high)]
    share = (0.3 - ends[0][0]) / (ends[1][0] - ends[0][0])
    expected = ends[0][1] + share * (ends[1][1] - ends[0][1])
    assert float(mark.attributes["x1"]) == pytest.approx(expected, abs=0.02)


def test_patterns_are_drawn_of_the_largest_claims_alone(found):
    parts = section(document(found), "pattern").parts
    assert all(isinstance(part, Pattern) for part in parts)
    assert [part.name for part in parts] == ["conv → second", "second", "third"]
    assert parts[1].tau == found.further[0].tau
    assert parts[1].low == pytest.approx(0.65 / 0.35)
    many = {f"b{index}": replace(found["third"], path=f"b{index}") for index in range(9)}
    many["b7"] = replace(many["b7"], drop_p=0.9)
    made = document(replace(found, sites=many, further=()))
    parts = section(made, "pattern").parts
    assert len(parts) == 6
    assert any(part.name == "b7" for part in parts)
    none = {path: replace(one, claimed=False) for path, one in found.sites.items()}
    keys = [one.key for one in document(replace(found, sites=none, further=())).sections]
    assert "pattern" not in keys


def test_an_interval_without_an_end_is_drawn_as_far_as_it_goes(found, tmp_path):
    open_ = replace(found["first"], drop_p=-math.inf, low=-math.inf, high=0.2)
    assert math.isnan(open_.tau_interval[0])
    result = replace(found, sites={**found.sites, "first": open_})
    assert any("−∞ to 0.200" in line for line in terminal(result))
    assert "−∞ to 0.200" in written(result, tmp_path)
