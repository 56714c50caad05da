"""The page of benchmarks is what its ledger says, and the guard knows what has moved."""

from __future__ import annotations

from importlib import import_module

import pytest
from benchmarks import guard, page
from benchmarks.ledger import Ledger
from benchmarks.lines import Line, Spread, aimed, asked
from benchmarks.names import COMMANDS, SECTIONS, STUDIES
from rich.console import Console

QUIET = Console(quiet=True)


@pytest.mark.parametrize("name", SECTIONS)
def test_every_section_has_a_title_words_and_lines_of_their_own(name):
    section = import_module(f"benchmarks.{name}")
    assert section.TITLE
    assert section.__doc__
    lines = Ledger().lines(name)
    assert lines, f"python -m benchmarks {name} was never run"
    assert len({(line.table, line.name) for line in lines}) == len(lines)


def test_pages_are_what_the_ledger_says():
    for path, text in page.written(Ledger()).items():
        message = f"docs/{path} is not of the ledger: python -m benchmarks page"
        assert (page.DOCS / path).read_text("utf-8") == text, message


def test_every_study_has_its_page():
    for _, where in STUDIES.values():
        assert (page.DOCS / where).exists()
    assert not set(STUDIES) & {*SECTIONS, *COMMANDS}


def test_the_ledger_keeps_one_section_and_leaves_the_others(tmp_path):
    ledger = Ledger(tmp_path / "kept.json")
    first = [Line("", "one", {"time": "1 s", "ratio": Spread(1.5, 1.4, 1.6)}, **aimed(1.5, 1.2))]
    ledger.keep("a", first, 0.5)
    ledger.keep("b", [Line("t", "two", {"error": "1e-7"})], 0.5)
    again = Ledger(tmp_path / "kept.json")
    assert again.lines("a") == first
    assert again.lines("b")[0].name == "two"
    assert again.is_current("a")
    assert again.lines("c") == []
    assert not again.is_current("c")


def test_aims_that_are_missed_say_so():
    assert aimed(1.2, 1.25) == {"aim": "≤ 1.25", "missed": False}
    assert aimed(1.3, 1.25)["missed"]
    assert aimed(float("nan"), 1.25)["missed"]
    assert aimed(1.3, None) == {}


def test_parts_of_names():
    assert asked("MLP, 256 × 64", "ResNet,MLP")
    assert asked("MLP, 256 × 64", "")
    assert not asked("MLP, 256 × 64", "ResNet")


@pytest.mark.parametrize(
    ("now", "is_worse"),
    [
        (Spread(1.7, 1.5, 1.9), None),  # spreads overlap
        (Spread(1.7, 1.65, 1.9), None),  # beyond, by less than a tenth
        (Spread(2.0, 1.9, 2.1), True),
        (Spread(1.1, 1.0, 1.2), False),
    ],
)
def test_what_has_moved(now, is_worse):
    before = Line("", "measure", {"time": "1 s", "ratio": Spread(1.5, 1.4, 1.6)})
    found = list(guard.moved(before, Line("", "measure", {"time": "9 s", "ratio": now})))
    assert [worse for _, worse in found] == ([] if is_worse is None else [is_worse])
    for sentence, _ in found:
        assert sentence.startswith("measure, ratio: 1.50 (1.40–1.60) on the page, ")


def test_the_guard_fails_where_a_ratio_has_grown(tmp_path, monkeypatch):
    class Section:
        QUICK = "MLP"
        ratio = 1.5

        def run(self, console, only):
            assert only == "MLP"
            spread = Spread(self.ratio, self.ratio - 0.01, self.ratio + 0.01)
            yield Line("", "MLP", {"ratio": spread})

    section, ledger = Section(), Ledger(tmp_path / "kept.json")
    ledger.keep("only", list(section.run(QUIET, "MLP")), 0.0)
    monkeypatch.setattr(guard, "SECTIONS", ("only",))
    monkeypatch.setattr(guard, "Ledger", lambda: ledger)
    monkeypatch.setattr(guard, "import_module", lambda name: section)
    assert guard.run(QUIET) == ()
    section.ratio = 3.0
    with pytest.raises(SystemExit, match="1 ratio has grown"):
        guard.run(QUIET)
