"""A footprint with two noises at a norm, the code's rates and places that fit as well."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from matplotlib.figure import Figure
from rich.console import Console

from varshift._draw.page import render
from varshift._draw.page.bodies import body
from varshift._draw.page.pictures import Pattern, pattern
from varshift._draw.page.scales import linear
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


def test_a_terminal_has_a_row_for_each_noise(found):
    lines = terminal(found)
    # Norms and noises are counted apart, and the largest one is of those in `further`.
    head = "2 of 4 norms claim 3 noises; most second, drop_p 0.700 (0.650 to 0.750) before the"
    assert " ".join(lines).startswith(head)
    start = next(index for index, line in enumerate(lines) if line.startswith("norm "))
    assert lines[start].split() == ["norm", "drop_p", "code", "95", "%", "placed", "misfit"]
    rows = lines[start + 1 : start + 6]
    assert [row.split()[0] for row in rows] == ["first", "second", "second", "third", "fourth"]
    assert rows[1].split()[2:4] == ["*", "0.3"]
    assert "before the norm" in rows[2]
    assert "—" in rows[2]
    assert "before pool (maps)" in rows[3]


def test_a_terminal_says_what_fits_as_well_and_what_the_words_mean(found):
    said = " ".join(terminal(found))
    assert "second: before conv, or before conv4: 0.240 (0.180 to 0.300); its channels" in said
    assert "Code: drop_p of the dropout that the model still has there." in said
    assert "Maps: whole ones were dropped" in said


def test_where_no_code_and_no_other_place_is_known_nothing_is_said_of_them(found):
    bare = {path: replace(one, coded=None, instead=()) for path, one in found.sites.items()}
    lines = terminal(replace(found, sites=bare))
    assert not any("code" in line.lower() or "fit either" in line for line in lines)
    page = render(replace(found, sites=bare))
    assert "in the code" not in page
    assert "or else" not in page


def test_long_names_leave_the_figures_their_room(found):
    name = "backbone.stages.3.blocks.11.attention.projection.norm"
    second = replace(found["second"], path=name, place=f"{name}.conv")
    more = (replace(found.further[0], path=name, place=name),)
    sites = {**found.sites, name: second}
    del sites["second"]
    lines = terminal(replace(found, sites=sites, further=more))
    assert sum("0.700 *" in line for line in lines) == 1


def test_what_is_left_off_are_noises_not_norms(found):
    many = {f"b{index}": replace(found["second"], path=f"b{index}") for index in range(20)}
    more = tuple(replace(found.further[0], path=path) for path in many)
    lines = terminal(replace(found, sites=many, further=more))
    assert "20 of 20 norms claim 40 noises" in lines[0]
    assert any("25 worst of 40" in line for line in lines)
    said = " ".join(terminal(replace(found, sites=many, further=())))
    assert said.count("its channels fit either") == 5
    assert "15 more fit another place as well: to_dict() has all." in said


def test_a_page_says_where_the_largest_noise_stood(found):
    _, said = body(found).summary
    assert said.startswith("2 norms claim 3 noises; the most is a drop_p of 0.700")
    assert said.endswith("at second, before the norm.")
    one = replace(found, sites={"second": found["second"]}, further=())
    _, said = body(one).summary
    assert said.startswith("1 norm claims noise: a drop_p of ")
    assert "at second, before conv (in the code now: 0.3). " in said
    assert said.endswith("It may as well have stood before conv4.")


def test_a_page_has_a_row_for_each_noise_with_code_and_other_places(found):
    (section,) = [one for one in body(found).sections if one.key == "noise"]
    picture, table = section.parts
    assert table.caption == "5 noises at 4 norms"
    names = [column.name for column in table.columns]
    rows = [dict(zip(names, (cell.text for cell in row), strict=True)) for row in table.rows]
    assert [row["norm"] for row in rows] == ["first", "second", "second", "third", "fourth"]
    assert [row["code"] for row in rows] == ["—", "0.3", "—", "—", "—"]
    assert rows[1]["or else"] == "before conv4: 0.240 (0.180 to 0.300)"
    assert rows[3]["placed"] == "before pool (maps)"
    labels = [mark.text for mark in picture.marks if mark.tag == "text"]
    assert {"conv → second", "second", "third"} <= set(labels)
    (mark,) = [mark for mark in picture.marks if mark.attributes["class"] == "mark"]
    assert "in the code 0.3" in mark.hint
    # The mark stands where the scale has 0.3: between its ticks at 0.2 and 0.4.
    ticks = {
        one.text: float(one.attributes["x"])
        for one in picture.marks
        if one.attributes.get("text-anchor") == "middle"
    }
    low, high = sorted(ticks, key=lambda text: abs(float(text.replace("−", "-")) - 0.3))[:2]
    ends = [(float(text.replace("−", "-")), ticks[text]) for text in (low, high)]
    share = (0.3 - ends[0][0]) / (ends[1][0] - ends[0][0])
    expected = ends[0][1] + share * (ends[1][1] - ends[0][1])
    assert float(mark.attributes["x1"]) == pytest.approx(expected, abs=0.02)


def test_patterns_are_drawn_of_the_largest_claims_alone(found):
    (section,) = [one for one in body(found).sections if one.key == "pattern"]
    assert [part.about.split(":")[0] for part in section.parts] == [
        "conv → second",
        "second",
        "third",
    ]
    many = {f"b{index}": replace(found["third"], path=f"b{index}") for index in range(9)}
    many["b7"] = replace(many["b7"], drop_p=0.9)
    made = body(replace(found, sites=many, further=()))
    (section,) = [one for one in made.sections if one.key == "pattern"]
    assert len(section.parts) == 6
    assert any(part.about.startswith("b7:") for part in section.parts)
    none = {path: replace(one, claimed=False) for path, one in found.sites.items()}
    keys = [one.key for one in body(replace(found, sites=none, further=())).sections]
    assert "pattern" not in keys


def _ends(mark):
    x1, y1, x2, y2 = (float(mark.attributes[key]) for key in ("x1", "y1", "x2", "y2"))
    return (x1, y1), (x2, y2)


def test_the_line_has_the_slope_of_tau_and_goes_through_the_origin():
    lever = [0.5 * index for index in range(1, 21)]
    excess = [0.4 * value for value in lever]
    canvas = pattern(Pattern("norm", lever, excess, 0.4, 0.3, 0.6))
    dots = [mark for mark in canvas.marks if mark.tag == "circle"]
    assert len(dots) == 20
    across, up = linear([0.0, *lever], 58, 278), linear([0.0, *excess], 286, 66)
    for dot, x, y in zip(dots, lever, excess, strict=True):
        assert float(dot.attributes["cx"]) == pytest.approx(across(x), abs=0.01)
        assert float(dot.attributes["cy"]) == pytest.approx(up(y), abs=0.01)
    rays = [mark for mark in canvas.marks if "slope" in mark.attributes["class"] and mark.hint]
    assert len(rays) == 3
    unit = (up(0.0) - up(1.0)) / (across(1.0) - across(0.0))  # what slope 1 is on paper
    for ray, slope in zip(rays, (0.3, 0.6, 0.4), strict=True):
        (x1, y1), (x2, y2) = _ends(ray)
        assert (x1, y1) == pytest.approx((across(0.0), up(0.0)), abs=0.01)
        assert (y1 - y2) / (x2 - x1) == pytest.approx(slope * unit, abs=2e-3)
        assert 58 <= x2 <= 278.01
        assert 66 <= y2 <= 286
    assert "drop_p 0.286" in rays[2].hint


def test_a_picture_of_many_channels_is_thinned_and_says_so():
    lever = [1.0 + index / 1000 for index in range(1000)]
    canvas = pattern(Pattern("norm", lever, lever, 1.0, math.nan, 1.1))
    dots = [mark for mark in canvas.marks if mark.tag == "circle"]
    assert len(dots) == 250
    assert canvas.caption == "250 of 1000 channels, one in 4."
    # An end that is not finite has no line; nothing is drawn nowhere.
    rays = [mark for mark in canvas.marks if "slope" in mark.attributes["class"] and mark.hint]
    assert len(rays) == 2
    assert not any("nan" in value for mark in canvas.marks for value in mark.attributes.values())


def test_a_plot_has_a_row_for_each_noise_and_a_cross_for_the_code(found):
    ax = Figure().add_subplot()
    assert found.plot(ax=ax) is ax
    assert len(ax.figure.axes) == 1
    assert len(ax.collections) == 5
    crosses = [line for line in ax.get_lines() if line.get_marker() == "x"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in crosses] == [(0.3, 1)]
    assert "in the code" in ax.get_xlabel()
    ax.figure.savefig(io.BytesIO(), format="png")
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names[:3] == ["first", "conv → second", "second"]


def test_an_interval_without_an_end_is_drawn_as_far_as_it_goes(found):
    open_ = replace(found["first"], drop_p=-math.inf, low=-math.inf, high=0.2)
    result = replace(found, sites={**found.sites, "first": open_})
    assert any("−∞ to 0.200" in line for line in terminal(result))
    assert "−∞ to 0.200" in render(result)
    ax = result.plot()
    ax.figure.savefig(io.BytesIO(), format="png")
    assert all(map(math.isfinite, ax.get_xlim()))
