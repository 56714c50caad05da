"""Which tests run which lines, and how long each takes: each test file once under coverage."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import coverage
from benchmarks.mutants.children import COPY, in_fork, run_items
from benchmarks.mutants.plan import ROOT, WORK
from benchmarks.mutants.population import Mutant

__all__ = ["Reach", "Test"]

_LONGEST = 1500  # seconds of processor time for one test file


@dataclass(frozen=True)
class Test:
    """One that passes without a mutant, and how long it takes."""

    name: str
    seconds: float


class Reach:
    """What each test file reaches, followed once and kept as long as the file stays as it is."""

    def __init__(self, items: dict[str, pytest.Item], seconds: float) -> None:
        self._seconds = seconds
        self._by_file: dict[str, list[pytest.Item]] = defaultdict(list)
        for name, item in items.items():
            self._by_file[name.partition("::")[0]].append(item)
        # All at once, for following takes minutes, in which somebody may write tests.
        places = {test_file: _place(test_file) for test_file in self._by_file}
        self._known = {name: self._followed(name, place) for name, place in places.items()}

    def _followed(self, test_file: str, kept: Path) -> dict[str, Any]:
        if not kept.exists():
            print(f"following {test_file}", flush=True)
            in_fork(lambda: _follow(self._by_file[test_file], kept), _LONGEST)
        if not kept.exists():
            print(f"{test_file} cannot be followed: left out", flush=True)
            return {"tests": {}, "lines": {}}
        found: dict[str, Any] = json.loads(kept.read_text())
        return found

    def tests_for(self, mutant: Mutant, test_files: list[str]) -> tuple[list[Test], bool]:
        """Those that run its statement, quick ones first; then their neighbours.

        What a fixture runs is counted for the first test that asks for it, hence the neighbours.
        What the import alone runs meets every test. The second answer: whether it is not that.
        """
        direct: list[tuple[float, str]] = []
        beside: list[tuple[float, str]] = []
        elsewhere: list[tuple[float, str]] = []
        for test_file in test_files:
            known = self._known.get(test_file)
            lines = known["lines"].get(mutant.file, {}) if known else {}
            first, last = mutant.lines
            hit = {name for line in range(first, last + 1) for name in lines.get(str(line), ())}
            for name, seconds in (known["tests"] if known else {}).items():
                if name in hit:
                    direct.append((seconds, name))
                else:
                    (beside if lines else elsewhere).append((seconds, name))
        chosen: list[Test] = []
        left = self._seconds
        others = beside if direct else [*beside, *elsewhere]
        for seconds, name in [*sorted(direct), *sorted(others)]:
            if seconds <= left or not chosen:
                chosen.append(Test(name, seconds))
                left -= seconds
        return chosen, bool(direct)


def _place(test_file: str) -> Path:
    content = (ROOT / test_file).read_bytes()
    name = hashlib.sha256(test_file.encode() + content).hexdigest()[:12]
    return WORK / "reach" / f"{Path(test_file).stem}-{name}.json"


def _follow(items: list[pytest.Item], kept: Path) -> int:
    measured = coverage.Coverage(
        data_file=None,
        config_file=False,
        source=[str(COPY)],
        concurrency=["thread", "greenlet"],
        messages=False,
    )
    measured._warn = lambda *_, **__: None  # modules that were imported before
    seconds: dict[str, float] = defaultdict(float)
    failed: set[str] = set()

    def met(report: pytest.TestReport) -> bool:
        seconds[report.nodeid] += max(0.001, sum(os.times()[:4]) - sum(seconds.values()) - begun)
        if report.outcome != "passed":
            failed.add(report.nodeid)
        return True

    measured.start()
    begun = sum(os.times()[:4])
    for item in items:
        item.config.pluginmanager.register(_Context(measured), "context")
        break
    run_items(items, met)
    measured.stop()
    passed = {name: round(took, 4) for name, took in seconds.items() if name not in failed}
    data = measured.get_data()
    lines: dict[str, dict[int, list[str]]] = {}
    for path in data.measured_files():
        by_line = data.contexts_by_lineno(path).items()
        lines[str(Path(path).relative_to(COPY))] = {
            line: [name for name in names if name in passed] for line, names in by_line
        }
    kept.parent.mkdir(parents=True, exist_ok=True)
    draft = kept.with_suffix(".new")
    draft.write_text(json.dumps({"tests": passed, "lines": lines}))
    draft.rename(kept)
    return 0


class _Context:
    """Tells coverage which test is running."""

    def __init__(self, measured: coverage.Coverage) -> None:
        self._measured = measured

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._measured.switch_context(nodeid)
