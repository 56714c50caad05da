"""Every law stands on the page of tests, and every test it names exists."""

from __future__ import annotations

import re

from docs.pages import DOCS, ROOT
from varshift import theory

PAGE = (DOCS / "theory-tests.md").read_text()
DERIVED = (DOCS / "theory.md").read_text()


def test_every_public_name_has_its_row():
    rows = "\n".join(line for line in PAGE.splitlines() if line.startswith("| "))
    missing = [name for name in theory.__all__ if f"`{name}`" not in rows]
    assert not missing, f"docs/theory-tests.md has no row for {missing}"


def test_every_named_test_exists():
    named = re.findall(r"`((?:\w+/)?test_\w+\.py)::(test_\w+)`", PAGE)
    assert len(named) > 40
    for file, function in named:
        path = ROOT / "tests" / (file if "/" in file else f"theory/{file}")
        assert f"\ndef {function}(" in path.read_text(), f"{file} has no {function}"


def test_every_source_is_listed():
    cited = set(re.findall(r"\[([a-z]+\d{4}[a-z]+|dlmf)(?:,[^\]]*)?\]", DERIVED))
    listed = set(re.findall(r"^- \[([a-z\d]+)\]", DERIVED, re.MULTILINE))
    assert cited == listed
