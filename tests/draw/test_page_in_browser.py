"""The page as a reader meets it: headless Chromium on file://, no network."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._draw.page import render
from varshift.theory import dropout_ratio, tau_of, uout_ratio, width_ratio

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="no playwright; pip install playwright"
)
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium; apt-get install chromium")

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


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Open a result's page; what the console said and what was fetched is on the page object."""
    contexts = []

    def open_(result, **options):
        path = result.to_html(tmp_path / "page.html")
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(120_000)  # two cores, and other work on them
        page.said, page.fetched = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("dialog", lambda dialog: (page.said.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: page.fetched.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()


def value(page, name):
    return float(page.get_attribute(f"#{name}", "data-value"))


@pytest.mark.parametrize("name", KINDS)
def test_it_opens_in_silence_and_fetches_nothing(every, opened, name):
    page = opened(every[name])
    assert page.said == []
    assert [url for url in page.fetched if not url.startswith(("file:", "data:"))] == []
    assert len(page.fetched) == 1
    assert page.is_visible("#summary")
    assert page.is_visible("#provenance")
    assert page.locator("svg").count() >= 1
    for heading in page.locator("section h2").all():
        assert heading.is_visible()
    assert page.locator("#preset").count() == bool(KINDS[name])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["measurement", "explanation", "footprint", "repair", "findings"])
def test_it_fits_a_phone(every, opened, name, scheme):
    page = opened(
        every[name], viewport={"width": 390, "height": 800}, color_scheme=scheme, has_touch=True
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    sizes = page.evaluate(
        "Array.from(document.querySelectorAll('figure text'), t => t.getBoundingClientRect())"
        ".map(r => Math.min(r.width, r.height)).filter(size => size > 0)"
    )
    assert min(sizes) >= 3  # a dash or a dot; letters are checked by their font below
    shown = page.evaluate(
        "Array.from(document.querySelectorAll('figure svg'),"
        " s => 12 * s.getBoundingClientRect().width / s.viewBox.baseVal.width)"
    )
    assert min(shown) >= 8.5  # pixels of the smallest words; wide pictures scroll in their frame


def test_dark_is_dark_and_paper_is_white(every, opened):
    page = opened(every["measurement"], color_scheme="dark")

    def brightness(of, what):
        colour = page.evaluate(f"getComputedStyle(document.querySelector('{of}')).{what}")
        return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(",")[:3])) / 765

    assert brightness("body", "backgroundColor") < 0.15
    assert brightness("body", "color") > 0.8
    assert brightness("svg text", "fill") > 0.6
    page.emulate_media(media="print", color_scheme="dark")
    assert brightness("body", "backgroundColor") > 0.95
    assert brightness("svg text", "fill") < 0.4
    assert not page.is_visible("nav")
    assert not page.is_visible("#slide-drop_p")
    assert page.evaluate(
        "Array.from(document.querySelectorAll('.table'))"
        ".every(table => table.scrollHeight <= table.clientHeight + 1)"
    )  # nothing is cut off that paper cannot scroll to


LAWS = [
    ({"placement": "a", "law": "dropout", "drop_p": 0.5, "mean": 0.4, "var": 0.34}),
    ({"placement": "a", "law": "dropout", "drop_p": 0.0, "mean": -2.0, "var": 3.0}),
    ({"placement": "a", "law": "dropout", "drop_p": 0.95, "mean": 1e3, "var": 1e-3}),
    ({"placement": "a", "law": "uout", "beta": 0.1, "mean": 0.0, "var": 1.0}),
    ({"placement": "a", "law": "uout", "beta": 1.0, "mean": 1.5, "var": 0.2}),
    (
        {"placement": "b", "law": "dropout", "drop_p": 0.5, "mean": 0.4, "var": 0.34}
        | {"rho": 0.1, "d_cos2": 15.0}
    ),
    (
        {"placement": "b", "law": "dropout", "drop_p": 0.3, "mean": 1.0, "var": 2.0}
        | {"rho": -0.01, "d_cos2": 40.0}
    ),
    (
        {"placement": "b", "law": "uout", "beta": 0.5, "mean": 0.0, "var": 1.0}
        | {"rho": 0.5, "d_cos2": 1.0}
    ),
]


def by_theory(at):
    tau = tau_of(at["drop_p"]) if at["law"] == "dropout" else at["beta"] ** 2 / 3
    if at["placement"] == "b":
        return width_ratio(at["mean"], at["var"], at["rho"], tau, at["d_cos2"])
    mean, var = (torch.tensor(at[name], dtype=torch.float64) for name in ("mean", "var"))
    if at["law"] == "uout":
        return float(uout_ratio(mean, var, at["beta"]))
    return float(dropout_ratio(mean, var, tau))


def test_the_calculator_says_what_the_theory_says(every, opened):
    page = opened(every["structure"])
    for at in LAWS:
        page.check(f"input[name=placement][value={at['placement']}]")
        page.check(f"input[name=law][value={at['law']}]")
        for name in at.keys() - {"placement", "law"}:
            page.fill(f"#set-{name}", repr(at[name]))
        expected = by_theory(at)
        assert value(page, "shift") == pytest.approx(expected, rel=1e-12), at
        assert value(page, "severity") == pytest.approx(1 / expected, rel=1e-12)
        assert float(page.inner_text("#shift").replace("−", "-")) == pytest.approx(
            expected, rel=1e-4
        )
    most = value(page, "max_drop_p")  # of the last law: A = v
    page.check("input[name=law][value=dropout]")
    page.fill("#set-drop_p", repr(most))
    assert value(page, "shift") == pytest.approx(0.95, rel=1e-12)
    assert page.said == []


def test_a_slider_moves_the_number(every, opened):
    page = opened(every["structure"])
    before = value(page, "shift"), page.get_attribute("#curve-now", "cy")
    page.focus("#slide-drop_p")
    page.keyboard.press("ArrowRight")
    assert float(page.input_value("#set-drop_p")) == pytest.approx(0.51)
    after = value(page, "shift"), page.get_attribute("#curve-now", "cy")
    assert after[0] == pytest.approx(0.49)  # 1 − drop_p at c = 0
    assert after[0] < before[0]
    assert float(after[1]) > float(before[1])  # down, as pictures count
    assert not page.is_visible("#slide-rho")
    page.check("input[name=placement][value=b]")
    assert page.is_visible("#slide-rho")
    page.focus("#slide-d_cos2")
    page.keyboard.press("End")
    assert value(page, "shift") > after[0]


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [
        ("drop_p", "1", "drop_p goes from 0 to below 1"),
        ("drop_p", "", "drop_p goes from 0 to below 1"),
        ("var", "0", "v is above 0"),
        ("mean", "", "c any number"),
        ("d_cos2", "-1", "d·cos²θ is 0 or more"),
        ("rho", "2", "ρ goes from −1 to 1"),
    ],
)
def test_what_cannot_be_is_said(every, opened, name, typed, said):
    page = opened(every["structure"])
    page.check("input[name=placement][value=b]")
    page.fill(f"#set-{name}", typed)
    assert said in page.inner_text("#law")
    assert page.inner_text("#shift") == "—"
    assert page.inner_text("#alike") == "—"
    assert page.said == []


def test_without_a_signal_there_is_no_ratio(every, opened):
    page = opened(every["structure"])
    page.check("input[name=placement][value=b]")
    for name, typed in (("rho", "1"), ("d_cos2", "0"), ("drop_p", "0")):  # A = v(1 − ρ)
        page.fill(f"#set-{name}", typed)
    assert "no variance is left without the noise" in page.inner_text("#law")
    assert page.inner_text("#shift") == "—"


def test_a_preset_is_the_channel_that_was_measured(opened):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Dropout(0.3), nn.BatchNorm1d(3), nn.Dropout(0.6), nn.BatchNorm1d(3))
    m = vs.measure(net, (torch.randn(2000, 3) + 1).split(250))
    page = opened(m)
    shown = []
    for _ in page.locator("#preset option").all()[1:]:
        page.select_option("#preset", str(len(shown)))
        shown.append((float(page.input_value("#set-drop_p")), value(page, "shift")))
    assert [round(drop_p, 6) for drop_p, _ in shown] == [0.6, 0.3]  # the worst first
    # Noise reaches the second norm through the first as well, which the calculator leaves out: what
    # was measured stands beside it, until a figure is changed.
    assert shown[1][1] == pytest.approx(m.sites["1"].shift, rel=0.05)
    page.select_option("#preset", "0")
    assert value(page, "measured") == pytest.approx(m.sites["3"].shift, rel=0.1)
    assert "the rest comes through earlier norms" in page.inner_text("#figures")
    page.fill("#set-mean", "0.5")
    assert page.input_value("#preset") == ""
    assert "earlier norms" not in page.inner_text("#figures")


def test_a_table_sorts_by_number_and_puts_the_unknown_last(opened):
    page = opened(_with_gaps())
    heading = page.locator("#asked th button", has_text="τ")

    def column():
        return page.locator("#asked tbody td:nth-child(2)").all_inner_texts()

    heading.click()
    assert column() == ["0.111111", "1", "9", "—"] or column() == ["0.1111", "1", "9", "—"]
    assert page.get_attribute("#asked th:nth-child(2)", "aria-sort") == "ascending"
    heading.click()
    assert column()[0] == "9"
    assert column()[-1] == "—"
    page.locator("#asked th button").first.click()
    names = page.locator("#asked tbody td:nth-child(1)").all_inner_texts()
    assert names == ["d1", "d2", "d10", "d11"]  # as people count
    assert page.get_attribute("#asked th:nth-child(2)", "aria-sort") is None


def _with_gaps():
    """A prediction whose table has numbers in no order, and one that nobody knows."""
    found = vs.predict(
        nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3)), torch.randn(9, 3).split(3)
    )
    asked = {"d10": 9.0, "d2": float("nan"), "d1": 1.0, "d11": 1 / 9}
    return type(found)(
        sites=found.sites, structure=found.structure, asked=asked, samples=9, skipped={}
    )


def test_what_is_infinite_sorts_as_such_and_what_is_unknown_last(opened):
    m = _of_many_norms(4)
    sites = {
        path: replace(site, shift=value)
        for (path, site), value in zip(
            m.sites.items(), (2.0, float("nan"), float("inf"), 0.5), strict=True
        )
    }
    page = opened(replace(m, sites=sites))
    heading = page.locator("#sites th button", has_text="Δ test/train")

    def column():
        cells = page.locator("#sites tbody td:nth-child(3)").all_inner_texts()
        return [cell.split()[0] for cell in cells]

    heading.click()
    assert column()[-2:] == ["∞", "n/a"]
    heading.click()
    assert (column()[0], column()[-1]) == ("∞", "n/a")


def test_a_long_name_leaves_a_phone_its_width(opened):
    net = nn.Sequential()
    net.add_module("a_module_with_a_name_that_tells_the_whole_story_of_its_life", nn.Dropout(0.5))
    net.add_module("b_module_with_a_name_that_tells_the_whole_story_of_its_life", nn.BatchNorm1d(3))
    page = opened(
        vs.measure(net, torch.randn(40, 3).split(10)), viewport={"width": 390, "height": 800}
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_touch_on_a_mark_writes_what_a_pointer_is_told(every, opened):
    page = opened(every["measurement"])
    told = page.locator("#depth figure .told").first
    assert not told.is_visible()
    page.locator("#depth figure svg circle.test").first.click(force=True)
    assert "test 0." in told.inner_text() or "test 1" in told.inner_text()
    page.locator("#depth figure svg").first.click(position={"x": 2, "y": 2}, force=True)
    assert not told.is_visible()


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
    assert value(page, "shift") == pytest.approx(0.5, abs=0.2)
    page.locator("#sites th button").nth(1).click()
    assert page.said == []


def test_without_javascript_everything_but_the_calculator_is_there(every, opened):
    page = opened(every["measurement"], java_script_enabled=False)
    assert page.is_visible("#depth svg")
    assert page.locator("#sites tbody tr").count() == 4
    assert "varshift theory" in page.inner_text("#calculator")


def test_300_norms_take_less_than_two_seconds_to_open(opened):
    m = _of_many_norms(300)
    assert 300_000 < len(render(m).encode()) < 1_500_000  # the bound is 6 MB
    page = opened(m)
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


def _of_many_norms(count):
    """One measured block, repeated: a page does not care that the figures are alike."""
    torch.manual_seed(0)
    one = vs.measure(
        nn.Sequential(nn.Dropout(0.3), nn.BatchNorm1d(256)), [torch.randn(32, 256)] * 4
    )
    (noise,), (norm,), (route,) = one.structure.noises, one.structure.norms, one.structure.routes
    paths = [f"stages.{index // 10}.blocks.{index % 10}.norm" for index in range(count)]
    structure = replace(
        one.structure,
        noises=tuple(replace(noise, name=f"{path}.drop") for path in paths),
        norms=tuple(replace(norm, path=path) for path in paths),
        routes=tuple(
            replace(route, noise=f"{source}.drop", norm=path)
            for index, path in enumerate(paths)
            for source in paths[: index + 1]
        ),
    )
    sites = {path: replace(one.sites["1"], path=path) for path in paths}
    return replace(one, sites=sites, structure=structure)
