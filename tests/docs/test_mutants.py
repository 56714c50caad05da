"""The page of mutants says what the records say, and no reason is given for what is dead."""

from __future__ import annotations

from benchmarks.mutants import plan
from benchmarks.mutants.equivalent import EQUIVALENT
from benchmarks.mutants.plan import GROUPS, PAGE
from benchmarks.mutants.records import LIVES, records
from benchmarks.mutants.table import page


def test_the_page_is_that_of_the_records():
    assert PAGE.read_text() == page(list(records().values()))


def test_only_what_lives_is_called_equivalent():
    found = records()
    assert {found[key]["outcome"] for key in EQUIVALENT} <= set(LIVES)


def test_every_group_has_files_and_tests():
    for group in GROUPS.values():
        assert len(plan.files_of(group)) >= len(group.files)
        assert plan.tests_of(group)
        assert all((PAGE.parents[2] / name).exists() for name in plan.tests_of(group))
