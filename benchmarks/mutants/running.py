"""A mutant meets its tests; a record of what became of it."""

from __future__ import annotations

import re
import time
from types import CodeType, FunctionType
from typing import Any

import pytest

from benchmarks.mutants.children import (
    FAILURE,
    HUNG,
    in_fork,
    put,
    replaced,
    run_anew,
    run_items,
)
from benchmarks.mutants.plan import PATIENCE, SOURCE
from benchmarks.mutants.population import Mutant
from benchmarks.mutants.reach import Reach, Test

__all__ = ["Trials"]

_FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)


class Trials:
    """The collected tests, and what they make of mutants."""

    def __init__(self, items: dict[str, pytest.Item], seconds: float) -> None:
        self._items = items
        self._reach = Reach(items, seconds)
        self._proven: set[str] = set()

    def _prove(self, tests: list[Test], killer: str) -> None:
        """Stop where the killer fails without a mutant too, alone or behind the tests before it."""
        if killer in self._proven:
            return
        self._proven.add(killer)
        last = [test.name for test in tests].index(killer)
        if self._met(tests[: last + 1], []):
            raise SystemExit(f"{killer} fails without a mutant: {FAILURE.read_text()}")

    def tried(self, group: str, mutant: Mutant, test_files: list[str]) -> dict[str, Any]:
        """What became of a mutant."""
        tests, loaded = self._reach.tests_for(mutant, test_files)
        started = time.monotonic()
        outcome, by = self._outcome(mutant, tests, loaded)
        return {
            "key": mutant.key,
            "group": group,
            "file": mutant.file,
            "function": mutant.function,
            "line": mutant.line,
            "before": mutant.before[:200],
            "after": mutant.after[:200],
            "outcome": outcome,
            "by": by,
            "tests": len(tests),
            "seconds": round(time.monotonic() - started, 1),
        }

    def _outcome(self, mutant: Mutant, tests: list[Test], loaded: bool) -> tuple[str, str]:
        if not tests:
            return "unreached", ""
        FAILURE.unlink(missing_ok=True)
        functions = replaced(mutant.file, mutant.source) if loaded else None
        put(mutant.file, mutant.source)
        try:
            if functions is None:
                code = run_anew([test.name for test in tests], _patience(tests))
            else:
                code = self._met(tests, functions)
        finally:
            put(mutant.file, (SOURCE / mutant.file).read_text())
        if code == HUNG:
            return "hung", ""
        said = FAILURE.read_text() if FAILURE.exists() else ""
        killer = failed[1] if (failed := _FAILED.search(said)) else ""
        if killer in self._items:
            self._prove(tests, killer)
        return ("killed" if code else "survived"), killer

    def _met(self, tests: list[Test], functions: list[tuple[FunctionType, CodeType]]) -> int:
        items = [self._items[test.name] for test in tests]

        def work() -> int:
            for function, code in functions:
                function.__code__ = code
            failed: list[str] = []

            def met(report: pytest.TestReport) -> bool:
                if report.failed:
                    failed.append(report.nodeid)
                    FAILURE.write_text(f"FAILED {report.nodeid}\n{report.longreprtext}\n")
                return not failed

            run_items(items, met)
            return int(bool(failed))

        return in_fork(work, _patience(tests))


def _patience(tests: list[Test]) -> float:
    # A test may have to train what another, that ran before it when they were timed, had trained.
    return PATIENCE + 2 * sum(test.seconds for test in tests)
