"""README.zh-CN.md says what README.md says: the same sections, code, links and numbers, in order.

Prose is compared by its numbers, section by section, so that a failure names the section that
is missing or behind. A new section of README.md goes to the same place in the translation: the
error says after which heading. Code is compared with its comments taken out, since they are
translated; each must stand where the other has one.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import zip_longest

import pytest

from docs.pages import ROOT

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\]\(([^)]+)\)")
_COMMENT = re.compile(r"(?<!\S)#.*$", re.MULTILINE)
_HAN = re.compile(r"[\u4e00-\u9fff]")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
# Number words that the English text spells out and the translation may write either way are no
# digits in either: only digits are compared.

# README.md's headings and their translations. A new section needs a line here and its text there.
HEADINGS = {
    "": "",  # what stands above the first heading
    "varshift": "varshift",
    "Two commands": "两条命令",
    "One look": "看一眼就够",
    "Does the repair help? What the demo prints": "修复有用吗？演示输出什么",
    "The verbs": "各个动词",
    "While it trains": "训练过程中",
    "On the command line": "在命令行上",
    "How exact, how fast": "有多精确，有多快",
    "What it does not do yet": "尚不支持",
    "Documentation": "文档",
}


def sections(name: str) -> dict[str, str]:
    """Heading → text, code included, in order."""
    text = (ROOT / name).read_text()
    code = [match.span() for match in _FENCE.finditer(text)]
    heads = [
        match
        for match in re.finditer(r"^#+ (.+)$", text, re.MULTILINE)
        if not any(start <= match.start() < end for start, end in code)
    ]
    ends = [*(head.start() for head in heads[1:]), len(text)]
    top = {"": text[: heads[0].start()]}
    return top | {head[1]: text[head.end() : end] for head, end in zip(heads, ends, strict=True)}


ENGLISH, CHINESE = sections("README.md"), sections("README.zh-CN.md")


def test_every_section_has_its_translation():
    previous = "the top"
    for heading in ENGLISH:
        assert heading in HEADINGS, (
            f"README.md has a new section {heading!r}: translate it into README.zh-CN.md, after "
            f"{HEADINGS.get(previous, previous)!r}, and add both headings to HEADINGS"
        )
        assert HEADINGS[heading] in CHINESE, (
            f"README.zh-CN.md lacks {HEADINGS[heading]!r} ({heading!r}), after {previous!r}"
        )
        previous = heading
    told = [HEADINGS[heading] for heading in ENGLISH]
    assert list(CHINESE) == told, "the order of sections, or a section README.md does not have"


def _pairs():
    for heading, text in ENGLISH.items():
        translated = HEADINGS.get(heading)
        if translated in CHINESE:
            yield heading, text, CHINESE[translated]


def bare(block: str) -> str:
    """Code with each comment cut down to its #, so that only where it stands is compared."""
    return re.sub(r" +#$", " #", _COMMENT.sub("#", block), flags=re.MULTILINE)


def test_code_blocks_are_the_same_but_for_their_comments():
    for heading, english, chinese in _pairs():
        both = zip_longest(_FENCE.findall(english), _FENCE.findall(chinese), fillvalue="(none)")
        for number, (block, other) in enumerate(both, 1):
            assert bare(other) == bare(block), f"section {heading!r}, code block {number} differs"


def test_comments_are_translated():
    for heading, _, chinese in _pairs():
        for block in _FENCE.findall(chinese):
            for comment in _COMMENT.findall(block):
                name = comment[1:].strip()
                same = name == "pandas" or name.endswith(".py")  # a name is the same in both
                assert same or _HAN.search(name), f"section {heading!r}: {comment}"


def test_a_difference_in_code_is_seen_behind_a_comment():
    assert bare("a(1)  # one\n# two") == bare("a(1)   # 一\n# 二")
    assert bare("a(1)  # one") != bare("a(2)  # one")
    assert bare("a(1)  # one") != bare("a(1)")
    assert bare("f('#1')  # one") != bare("f('#2')  # one")


def test_links_are_the_same():
    for heading, english, chinese in _pairs():
        assert _LINK.findall(chinese) == _LINK.findall(english), f"links of section {heading!r}"


def test_numbers_and_names_in_prose_are_the_same():
    for heading, english, chinese in _pairs():
        prose, other = _FENCE.sub("", english), _FENCE.sub("", chinese)
        for what, pattern in (("numbers", _NUMBER), ("names in code", _CODE)):
            told, translated = Counter(pattern.findall(prose)), Counter(pattern.findall(other))
            assert translated == told, (
                f"section {heading!r}, {what}: only in README.md {dict(told - translated)}, "
                f"only in README.zh-CN.md {dict(translated - told)}"
            )


def test_list_items_and_table_rows_are_as_many():
    for heading, english, chinese in _pairs():
        for mark in ("* ", "|"):
            counts = [
                sum(line.startswith(mark) for line in _FENCE.sub("", text).splitlines())
                for text in (english, chinese)
            ]
            assert counts[0] == counts[1], f"section {heading!r}, lines of {mark!r}: {counts}"


@pytest.mark.parametrize(
    "path",
    [ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").rglob("*.zh.md"))],
    ids=lambda path: path.name,
)
def test_chinese_is_set_as_chinese_is(path):
    prose = _FENCE.sub("", path.read_text())
    assert not re.search(r"\d %", prose), "no space stands before %"
    # A line that ends between two Chinese characters is drawn with a space there.
    broken = re.findall(r"[\u4e00-\u9fff，。；：、“”（）]\n *[\u4e00-\u9fff“（]", prose)
    assert broken == []
