"""The page in a reader's hands: copying, folding, searching, sorting, two results; in Chromium."""

from __future__ import annotations

from dataclasses import replace

from problems.pages import PHONE, SCREEN, paged


def test_a_line_is_copied(opened):
    page = opened(paged(), permissions=["clipboard-read", "clipboard-write"])
    page.locator(".copy").first.click()
    page.wait_for_function("document.querySelector('.copy').textContent === 'copied'")
    assert page.evaluate("navigator.clipboard.readText()") == "vs.repair(model, data)"


def test_a_line_is_copied_where_the_browser_has_no_clipboard(opened):
    page = opened(paged())
    page.evaluate(
        "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no'));"
        " document.addEventListener('copy',"
        " () => { window.taken = document.activeElement.value; }); }"
    )
    page.locator(".copy").first.click()
    page.wait_for_function("document.querySelector('.copy').textContent === 'copied'")
    assert page.evaluate("window.taken") == "vs.repair(model, data)"
    assert page.said == []


def _shown(page):
    return page.locator(".tree .norm:visible").count()


def test_the_tree_shows_what_shifts_then_all_then_what_is_asked_for(opened):
    made = paged(121)
    bad = sum(leaf.tone != "none" for leaf in made.sections[0].parts[0].leaves)
    page = opened(made)
    first = _shown(page)
    assert bad <= first < 121
    page.click(".tree .all")
    assert _shown(page) == 121
    page.click(".tree .all")
    assert _shown(page) == first
    page.fill(".tree input", "stages.2 7")
    expected = sum(
        "stages.2" in leaf.path and "7" in leaf.path
        for leaf in made.sections[0].parts[0].leaves
    )  # fmt: skip
    assert _shown(page) == expected > 0
    assert page.inner_text(".tools output") == f"{expected} of 121 norms"
    page.fill(".tree input", "")
    assert _shown(page) == first
    assert page.said == []


def test_the_tree_is_used_from_the_keyboard_and_shows_a_card(opened):
    page = opened(paged(121))
    card = page.locator(".tree .card").last
    assert not card.is_visible()
    page.locator(".tree .norm summary").last.focus()
    page.keyboard.press("Enter")
    assert card.is_visible()
    assert "0.400 ± 0.004" in card.inner_text()


def test_a_long_table_is_searched(opened):
    page = opened(paged(400))
    rows = page.locator("#sites tbody tr:visible")
    assert rows.count() == 400
    page.fill("#sites input", "STAGES.3 399 Severe")
    assert rows.count() == 1
    assert page.inner_text("#sites .search output") == "1 of 400 rows"
    page.fill("#sites input", "no such norm")
    assert rows.count() == 0
    page.fill("#sites input", "")
    assert rows.count() == 400
    page.locator("#sites th button", has_text="Δ").click()
    assert "0.400" in rows.first.inner_text()


def test_two_results_stand_beside_each_other_or_below(opened):
    after, before = paged(121, worst=0.99), paged(121)
    for options, beside in ((SCREEN, True), (PHONE, False)):
        page = opened(after, before, **options)
        assert page.said == []
        assert page.evaluate("document.documentElement.scrollWidth") <= options["viewport"]["width"]
        for part in ("#summary .verdict", "#pictures .side", "#trees .side"):
            one, other = (box.bounding_box() for box in page.locator(part).all())
            assert (one["x"] < other["x"]) is beside
            assert (one["y"] + one["height"] <= other["y"] + 1) is not beside
    ticks = page.evaluate(
        "Array.from(document.querySelectorAll('#trees .axis'), axis => axis.textContent)"
    )
    assert ticks[0] == ticks[1]
    first = page.locator("#changed tbody tr").first.inner_text()
    assert "better" in first
    page.locator("#changed th button", has_text="change").click()
    assert "alike" in page.locator("#changed tbody tr").first.inner_text()
    page.fill("#changed input", "better")
    assert page.locator("#changed tbody tr:visible").count() == 1


def test_a_table_sorts_by_number_and_puts_the_unknown_last(every, opened):
    asked = {"d10": 9.0, "d2": float("nan"), "d1": 1.0, "d11": 1 / 9}
    page = opened(replace(every["prediction"], asked=asked))
    heading = page.locator("#asked th button", has_text="τ")

    def column():
        return page.locator("#asked tbody td:nth-child(2)").all_inner_texts()

    heading.click()
    assert column()[0].startswith("0.111")
    assert column()[1:] == ["1", "9", "—"]
    assert page.get_attribute("#asked th:nth-child(2)", "aria-sort") == "ascending"
    heading.click()
    assert column()[0] == "9"
    assert column()[-1] == "—"
    page.locator("#asked th button").first.click()
    names = page.locator("#asked tbody td:nth-child(1)").all_inner_texts()
    assert names == ["d1", "d2", "d10", "d11"]  # as people count
    assert page.get_attribute("#asked th:nth-child(2)", "aria-sort") is None


def test_what_is_infinite_sorts_as_such_and_what_is_unknown_last(every, opened):
    m = every["measurement"]
    values = (2.0, float("nan"), float("inf"), 0.5)
    sites = {
        path: replace(site, shift=value)
        for (path, site), value in zip(m.sites.items(), values, strict=True)
    }
    page = opened(replace(m, sites=sites))
    heading = page.locator("#depth th button", has_text="Δ test/train")

    def column():
        cells = page.locator("#depth tbody td:nth-child(3)").all_inner_texts()
        return [cell.split()[0] for cell in cells]

    heading.click()
    assert column()[-2:] == ["∞", "n/a"]
    heading.click()
    assert (column()[0], column()[-1]) == ("∞", "n/a")


def test_a_touch_on_a_mark_writes_what_a_pointer_is_told(opened):
    page = opened(paged(4))
    told = page.locator("#depth figure .told").first
    assert not told.is_visible()
    page.locator("#depth .wide circle.grade-severe").last.click(force=True)
    assert "net.stages.3.3.norm" in told.inner_text()
    assert "0.4" in told.inner_text()
    page.locator("#depth .wide svg").first.click(position={"x": 2, "y": 2}, force=True)
    assert not told.is_visible()
