"""The page as a reader meets it: headless Chromium on file://, no network."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

import varshift as vs
from problems.pages import PHONE, SCREEN, paged

# Every kind of page, and whether its calculator has presets to start from.
KINDS = {
    "structure": False,
    "measurement": True,
    "explanation": False,
    "prediction": True,
    "footprint": False,
    "repair": None,
    "findings": False,
}


@pytest.mark.parametrize("name", KINDS)
def test_it_opens_in_silence_and_fetches_nothing(every, opened, name):
    page = opened(every[name])
    assert page.said == []
    assert len(page.fetched) == 1
    assert page.is_visible("#summary")
    assert page.is_visible("#provenance")
    assert page.locator("svg").count() >= 1
    for heading in page.locator("section h2").all():
        assert heading.is_visible()
    assert page.locator("#calculator-preset").count() == bool(KINDS[name])


@pytest.mark.parametrize("options", [PHONE, SCREEN], ids=["phone", "screen"])
def test_the_first_screen_has_verdict_worst_norms_and_advice(opened, options):
    page = opened(paged(121), **options)
    for part in (".grading", ".head", ".points", ".advice"):
        box = page.locator(f"#summary {part}").bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= options["viewport"]["height"]
        assert box["x"] + box["width"] <= options["viewport"]["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["measurement", "explanation", "footprint", "repair", "findings"])
def test_it_fits_a_phone(every, opened, name, scheme):
    page = opened(every[name], color_scheme=scheme, **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shown = page.evaluate(
        "Array.from(document.querySelectorAll('figure svg'), s => [s.getBoundingClientRect(), s])"
        ".filter(([r]) => r.width > 0).map(([r, s]) => 12 * r.width / s.viewBox.baseVal.width)"
    )
    assert shown
    assert min(shown) >= 9.5  # pixels of the smallest words


@pytest.mark.parametrize("count", [4, 121, 300])
def test_a_phone_shows_every_norm_without_moving_sideways(opened, count):
    page = opened(paged(count), **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    dots = page.evaluate(
        "Array.from(document.querySelectorAll('#depth .narrow :is(circle, .dots)'), dot =>"
        " [dot.getBoundingClientRect(), (dot.getAttribute('d') || 'h0').split('h0').length - 1])"
        ".filter(([r]) => r.width > 0).map(([r, count]) => [r.left, r.right, count])"
    )
    assert sum(many for _, _, many in dots) >= count
    assert min(left for left, _, _ in dots) >= 0
    assert max(right for _, right, _ in dots) <= 390
    if page.locator(".tree .all").count():
        page.click(".tree .all")
    lines = page.evaluate(
        "Array.from(document.querySelectorAll('.tree .norm .line'), l => l.getBoundingClientRect())"
        ".filter(r => r.height > 0).map(r => [r.left, r.right])"
    )
    assert len(lines) == count
    assert min(left for left, _ in lines) >= 0
    assert max(right for _, right in lines) <= 390


@pytest.mark.parametrize("options", [PHONE, SCREEN], ids=["phone", "screen"])
@pytest.mark.parametrize("count", [4, 121, 300])
def test_no_words_of_the_tree_and_no_labels_of_its_axis_overlap(opened, count, options):
    page = opened(paged(count), **options)
    boxes = page.evaluate(
        "Array.from(document.querySelectorAll('.tree .line'), line => Array.from("
        "line.querySelectorAll('.name, .grade, .figure, .told, .axis i'), part => {"
        " const range = document.createRange(); range.selectNodeContents(part);"
        " const r = range.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; }))"
    )
    assert boxes
    for line in boxes:
        seen = [box for box in line if box[2] > box[0]]
        for one, other in itertools.combinations(seen, 2):
            across = min(one[2], other[2]) - max(one[0], other[0])
            down = min(one[3], other[3]) - max(one[1], other[1])
            assert across <= 0.5 or down <= 0.5, (one, other)


def _luminance(colour):
    parts = [int(part) / 255 for part in colour[4:-1].split(",")]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_contrast_is_what_it_is_for_black_on_white():
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    assert contrast("rgb(119, 119, 119)", "rgb(255, 255, 255)") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_are_read_on_every_ground(opened, scheme):
    page = opened(paged(40), color_scheme=scheme)
    colours = page.evaluate(
        "(() => { const colour = (selector, what) => {"
        " const found = document.querySelector(selector) ||"
        "  document.body.appendChild(Object.assign(document.createElement('span'),"
        "   {className: selector.replaceAll('.', ' ').trim()}));"
        " return getComputedStyle(found)[what]; };"
        " return {grounds: [colour('body', 'backgroundColor'), colour('thead th',"
        "  'backgroundColor')], words: ['.grade.none', '.grade.mild', '.grade.clear',"
        "  '.grade.severe', '.grade.good', '.grade.known', '.lead', '.gain', 'nav a', 'h1']"
        "  .map(selector => colour(selector, 'color'))}; })()"
    )
    for word in colours["words"]:
        for ground in colours["grounds"]:
            assert contrast(word, ground) >= 4.5, (word, ground)


def test_dark_is_dark_and_paper_is_white(opened):
    page = opened(paged(121), color_scheme="dark")

    def brightness(of, what):
        colour = page.evaluate(f"getComputedStyle(document.querySelector('{of}')).{what}")
        return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(",")[:3])) / 765

    assert brightness("body", "backgroundColor") < 0.15
    assert brightness("body", "color") > 0.8
    assert brightness("svg text", "fill") > 0.6
    page.emulate_media(media="print", color_scheme="dark")
    assert brightness("body", "backgroundColor") > 0.95
    assert brightness("svg text", "fill") < 0.4
    for gone in ("nav", "#calculator-slide-drop_p", ".copy", ".search"):
        assert not page.locator(gone).first.is_visible()
    assert page.evaluate(
        "Array.from(document.querySelectorAll('.table'))"
        ".every(table => table.scrollHeight <= table.clientHeight + 1)"
    )  # nothing is cut off that paper cannot scroll to
    assert page.locator("#sites .cut").inner_text() == "On paper: the first 60 of 121 rows."


def test_a_long_name_leaves_a_phone_its_width(opened):
    net = nn.Sequential()
    net.add_module("a_module_with_a_name_that_tells_the_whole_story_of_its_life", nn.Dropout(0.5))
    net.add_module("b_module_with_a_name_that_tells_the_whole_story_of_its_life", nn.BatchNorm1d(3))
    page = opened(vs.measure(net, torch.randn(40, 3).split(10)), **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_hostile_names_do_no_harm(opened):
    torch.manual_seed(0)
    name = "</script><img src=x onerror=alert(1)><svg onload=alert(2)>'\"]]>" + "ü" * 10_000
    net = nn.Sequential()
    net.add_module(name, nn.Dropout(0.5))
    net.add_module("b" + name, nn.BatchNorm1d(3))
    page = opened(vs.measure(net, torch.randn(40, 3).split(10)))
    assert page.said == []
    assert page.locator("img").count() == 0
    assert len(page.fetched) == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert page.locator("td[title]").first.get_attribute("title").endswith("ü" * 10_000)
    page.locator("#depth th button").nth(1).click()
    assert page.said == []


def test_without_javascript_everything_but_the_calculator_is_there(opened):
    page = opened(paged(121), java_script_enabled=False)
    assert page.is_visible("#depth svg")
    assert page.locator("#sites tbody tr").count() == 121
    assert "varshift theory" in page.inner_text("#calculator")
    assert page.is_visible(".advice code")
    for button in page.locator(".copy, .tools, .search").all():
        assert not button.is_visible()
    folded = page.locator(".tree details.clean").first
    assert not folded.locator("ul").first.is_visible()
    folded.locator("summary").first.click()
    assert folded.locator("ul").first.is_visible()


def test_300_norms_take_less_than_two_seconds_to_open(opened):
    page = opened(paged(300))
    # Processor time of the page's own thread: a clock on the wall counts what runs beside it.
    tools = page.context.new_cdp_session(page)
    tools.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.reload()
    page.evaluate("document.body.getBoundingClientRect().height")
    spent = {
        entry["name"]: entry["value"] for entry in tools.send("Performance.getMetrics")["metrics"]
    }
    assert 0 < spent["TaskDuration"] < 2
    assert page.locator("#sites tbody tr").count() == 300
    assert page.said == []
