"""The site builds strictly, without a warning, holds every page, and is read without a network."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pkgutil import resolve_name

import pytest

from docs.pages import DOCS, ROOT

NEEDED = ("mkdocs", "material", "mkdocstrings", "mkdocstrings_handlers.python", "latex2mathml")
for _needed in NEEDED:
    pytest.importorskip(_needed, reason="no mkdocs; pip install '.[docs]'")

LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
# A link that loads nothing: the page's own address, the neighbours in the order of reading.
NOT_LOADED = {"canonical", "prev", "next", "alternate"}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of the site and what the build printed."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "NO_COLOR": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout + done.stderr


def test_no_warning(built):
    lines = [line for line in built[1].splitlines() if re.match(r"(WARNING|ERROR)\b", line)]
    assert not lines, "\n".join(lines)


def test_every_page_is_there(built):
    folder, printed = built
    for page in DOCS.rglob("*.md"):
        name = page.relative_to(DOCS).with_suffix(".html")
        if name.name == "README.html":
            name = name.with_name("index.html")
        assert (folder / name).exists(), f"{page.name} is not in the site"
    assert "not included in the" not in printed, printed


class _Loads(HTMLParser):
    """Addresses that a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        held = dict(attrs)
        if tag == "link" and set((held.get("rel") or "").split()) & NOT_LOADED:
            return
        address = held.get(LOADED.get(tag, ""))
        if address:
            self.found.append(address)


def test_nothing_is_fetched(built):
    folder, _ = built
    for page in folder.rglob("*.html"):
        reader = _Loads()
        reader.feed(page.read_text())
        assert reader.found
        remote = [address for address in reader.found if re.match(r"(\w+:)?//", address)]
        assert not remote, f"{page.relative_to(folder)} loads {remote}"
        # The theme's script would fetch a drawing library for such a block.
        assert 'class="mermaid"' not in page.read_text(), page
    for sheet in folder.rglob("*.css"):
        assert not re.search(r"(url\(|@import\s*)[\"']?(https?:)?//", sheet.read_text()), sheet


def test_what_would_be_fetched_is_seen():
    reader = _Loads()
    reader.feed(
        '<link rel="stylesheet" href="https://fonts.example/a.css"><link rel="next" href="/">'
    )
    assert reader.found == ["https://fonts.example/a.css"]


def test_the_api_shows_docstrings(built):
    """A name that lives elsewhere than where it is imported from shows its words all the same."""
    for page in (DOCS / "api").glob("*.md"):
        html = (built[0] / "api" / f"{page.stem}.html").read_text()
        text = " ".join(unescape(re.sub(r"<[^>]+>", "", html)).split())
        for name in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE):
            assert f'id="{name}"' in html, name
            if page.stem in {"verbs", "results", "testing"}:
                said = resolve_name(name).__doc__
                first = said.partition("\n")[0].replace("`", "")
                assert first in text, f"{name} is on {page.name} without its docstring"


@pytest.mark.parametrize("name", ["seed", "seed.zh", "theory"])
def test_formulas_are_drawn_without_a_network(built, name):
    page, html = (DOCS / f"{name}.md").read_text(), (built[0] / f"{name}.html").read_text()
    wanted = page.count("\n```math\n") + len(re.findall(r"\$`[^`\n]+`\$", page))
    assert html.count("<math ") == html.count("</math>") == wanted > 20
    text = re.sub(r"<(pre|code|script)\b.*?</\1>", "", html, flags=re.DOTALL)
    assert "$" not in text
    assert "```" not in text


def test_no_formula_is_wider_than_its_column(built, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    for name in ("seed", "theory"):
        page.goto((built[0] / f"{name}.html").as_uri())
        widths = page.eval_on_selector_all(
            "div.math", "all => all.map(one => [one.scrollWidth, one.clientWidth])"
        )
        assert len(widths) > 20
        assert [needed for needed, there in widths if needed > there] == [], name
    page.close()


@pytest.fixture(scope="module")
def mathml():
    return runpy.run_path(str(DOCS / "site_formulas.py"))["mathml"]


def test_a_formula_is_escaped_and_keeps_its_latex(mathml):
    made = mathml(r"a &lt; \frac{1}{2}", "inline")
    assert "<mfrac>" in made
    assert 'alttext="a &lt; \\frac{1}{2}"' in made
    assert 'display="inline"' in made
    assert "<mtext>drop_p</mtext>" in mathml(r"\text{drop\_p}", "block")


@pytest.mark.parametrize(
    "latex", [r"\nosuchcommand x", r"\begin{aligned} a &amp;= b \end{aligned}"]
)
def test_latex_that_cannot_be_read_stops_the_build(mathml, latex):
    with pytest.raises(ValueError, match="latex2mathml does not read"):
        mathml(latex, "block")


def test_a_chinese_page_says_so(built):
    assert 'lang="zh-CN"' in (built[0] / "seed.zh.html").read_text()
    assert 'lang="zh-CN"' not in (built[0] / "seed.html").read_text()


def test_doctests_are_code(built):
    page = (built[0] / "api" / "theory.html").read_text()
    assert "dropout_ratio" in page
    assert "<blockquote>" not in page


def test_scripts_of_the_gallery_stand_in_their_pages(built):
    for script in (DOCS / "gallery").glob("*.py"):
        page = (built[0] / "gallery" / f"{script.stem}.html").read_text()
        assert "assert" in page, script
        assert "<!-- include" not in page, script


def test_a_pending_page_is_named_and_not_linked(built):
    page = (built[0] / "reproduce.html").read_text()
    there = (DOCS / "results" / "reproduction" / "README.md").exists()
    assert ("(to come)" in page) is not there


def test_headings_are_headings():
    """A paragraph that was wrapped into its heading stands in the table of contents whole."""
    long = [
        (path.name, line)
        for path in [*DOCS.rglob("*.md"), *DOCS.parent.glob("README*.md")]
        for line in re.findall(r"^#{1,4} .*$", path.read_text(encoding="utf-8"), re.MULTILINE)
        if len(line) > 100
    ]
    assert long == []
