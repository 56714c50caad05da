"""Every law is derived and has its test: names, tests and sources on the two pages of theory."""

from __future__ import annotations

import re

from docs.pages import DOCS, ROOT
from varshift import theory

PAGE = (DOCS / "theory-tests.md").read_text()
DERIVED = (DOCS / "theory.md").read_text()
DERIVATIONS, _, SOURCES = DERIVED.partition("\n## Sources\n")
# [key] or [key, where]; not [key](address).
CITED = re.compile(r"\[((?:[a-z]+\d{4}[a-z]+|dlmf)(?:, [^\];]*)?(?:; [a-z]+\d{4}[a-z]+)*)\]")


def keys(text):
    """What a text cites; several keys may share their brackets."""
    return {
        part.split(",")[0].strip()
        for found in CITED.findall(text)
        for part in found.split(";")
        if re.match(r"\s*([a-z]+\d{4}[a-z]+|dlmf)\b", part)
    }


def listed():
    return set(re.findall(r"^- \[([a-z\d]+)\]", SOURCES, re.MULTILINE))


def test_every_public_name_has_its_row():
    rows = "\n".join(line for line in PAGE.splitlines() if line.startswith("| "))
    missing = [name for name in theory.__all__ if f"`{name}`" not in rows]
    assert not missing, f"docs/theory-tests.md has no row for {missing}"


def test_every_public_name_is_derived():
    named = set(re.findall(r"`(\w+)`", DERIVATIONS))
    missing = [name for name in theory.__all__ if name not in named]
    assert not missing, f"docs/theory.md does not name {missing}"


def test_names_behind_formulas_exist():
    """In brackets at the end of the sentence that a formula ends."""
    ends = re.findall(r"\(([^()]*`[^()]*)\)[^()\n]*\n\n```math\n", DERIVATIONS)
    names = [name for end in ends for name in re.findall(r"`([a-z_\d]+)`", end)]
    assert len(names) > 20
    assert [name for name in names if not hasattr(theory, name) and name != "moderated"] == []


def test_every_named_test_exists():
    named = re.findall(r"`((?:\w+/)?test_\w+\.py)::(test_\w+)`", PAGE)
    assert len(named) > 40
    for file, function in named:
        path = ROOT / "tests" / (file if "/" in file else f"theory/{file}")
        assert f"\ndef {function}(" in path.read_text(), f"{file} has no {function}"


def test_formulas_stand_in_blocks_that_are_drawn():
    """Four spaces would show them as code."""
    assert not re.findall(r"^ {4}\S.*$", DERIVATIONS, re.MULTILINE)
    assert DERIVATIONS.count("\n```math\n") > 30


def test_every_source_is_listed_and_cited():
    assert keys(DERIVATIONS) <= listed()
    pages = [path.read_text() for path in DOCS.rglob("*.md") if path.name != "theory.md"]
    code = [path.read_text() for path in (ROOT / "src").rglob("*.py")]
    elsewhere = set().union(*map(keys, pages + code))
    assert elsewhere <= listed(), elsewhere - listed()
    assert listed() <= elsewhere | keys(DERIVATIONS)


def test_several_keys_in_one_bracket_are_seen():
    text = "[li2019disharmony, eq. 8] [dlmf, 8.17; student1908probable] [shown](li.md) [x2019]"
    assert keys(text) == {"li2019disharmony", "dlmf", "student1908probable"}
