"""Every rule has a page, and what a page prints is what its code prints."""

from __future__ import annotations

import contextlib
import io
import re
import tomllib
from pathlib import Path

import pytest

from varshift.results.catalogue import DOCUMENTATION, RULES

DOCS = Path(__file__).parents[2] / "docs"
RULE_PAGES = DOCS / "rules"
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"\d+\.\d+")


def test_there_is_a_page_for_each_code_and_none_besides():
    assert {path.stem for path in RULE_PAGES.glob("VS*.md")} == set(RULES)
    index = (RULE_PAGES / "index.md").read_text(encoding="utf-8")
    for rule in RULES.values():
        assert f"[{rule.code}]({rule.code}.md) | {rule.name} | {rule.summary}" in index
        assert rule.page.endswith(f"/rules/{rule.code}.html")


def test_addresses_are_those_that_the_package_names():
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["urls"]["Documentation"] == DOCUMENTATION


@pytest.mark.parametrize("code", RULES)
def test_a_page_says_what_why_how_bad_how_to_fix_and_when_to_ignore(code):
    text = (RULE_PAGES / f"{code}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {code}: {RULES[code].name}\n")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == ["Why", "How bad", "Fix", "When to ignore it"]
    assert max(map(len, text.splitlines())) <= 125


@pytest.mark.parametrize("code", RULES)
def test_a_page_prints_what_it_says(code):
    names: dict[str, object] = {}
    printed = None
    for kind, body in BLOCK.findall((RULE_PAGES / f"{code}.md").read_text(encoding="utf-8")):
        if kind == "python":
            held = io.StringIO()
            with contextlib.redirect_stdout(held):
                exec(body, names)
            printed = held.getvalue()
        else:
            assert printed is not None
            same(printed, body)
    assert printed is not None
    assert any(line.startswith(code) for line in first_output(code))


def same(printed, said):
    """Word by word; numbers with a point to 2 %, which is how far another machine rounds."""
    assert NUMBER.sub("·", printed) == NUMBER.sub("·", said)
    for one, other in zip(NUMBER.findall(printed), NUMBER.findall(said), strict=True):
        assert float(one) == pytest.approx(float(other), rel=0.02)


def first_output(code):
    text = (RULE_PAGES / f"{code}.md").read_text(encoding="utf-8")
    return next(body for kind, body in BLOCK.findall(text) if kind == "text").splitlines()
