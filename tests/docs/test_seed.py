"""The page on the note and its Chinese twin say the same, and every formula has a line to run."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from docs.pages import DOCS, blocks

ENGLISH, CHINESE = ((DOCS / name).read_text() for name in ("seed.md", "seed.zh.md"))
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def sections(page):
    """The texts between headings of the second level."""
    return re.split(r"^## .*$", page, flags=re.MULTILINE)


def test_formulas_code_and_outputs_are_the_same():
    both = [[(block.language, block.text) for block in blocks(page)] for page in (ENGLISH, CHINESE)]
    assert both[0] == both[1]


def test_sections_have_the_same_blocks_numbers_and_slips():
    english, chinese = sections(ENGLISH), sections(CHINESE)
    assert len(english) == len(chinese)
    for number, (told, translated) in enumerate(zip(english, chinese, strict=True)):
        assert _FENCE.findall(told) == _FENCE.findall(translated), f"section {number}"
        prose, other = _FENCE.sub("", told), _FENCE.sub("", translated)
        # Number words are digits in one language and words in the other: figures are compared.
        figures = [
            {found for found in _NUMBER.findall(text) if len(found) > 1} for text in (prose, other)
        ]
        assert figures[0] == figures[1], f"section {number}"
        assert len(re.findall(r"\*\*[Ss]lip", prose)) == other.count("**勘误"), f"section {number}"


def test_the_tables_have_as_many_rows():
    rows = [sum(line.startswith("|") for line in page.splitlines()) for page in (ENGLISH, CHINESE)]
    assert rows[0] == rows[1] > 10


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=["seed.md", "seed.zh.md"])
def test_a_block_that_runs_stands_beside_every_formula(page):
    """Two formulas may share one block; a third in a row would have none."""
    languages = [block.language for block in blocks(page) if block.language != "text"]
    assert languages.count("math") > 20
    assert languages[-1] != "math"
    for (first, second), third in zip(pairwise(languages), languages[2:], strict=False):
        assert (first, second, third) != ("math", "math", "math")
