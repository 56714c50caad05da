"""Tests run in forks of one process that has collected them all, so that a mutant costs no start.

The process imports a copy of the source. A fork is given the mutant twice: as a file of the copy,
for what it imports later and for processes that its tests start, and as the new code of the
functions that are loaded already.
"""

from __future__ import annotations

import atexit
import gc
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from math import ceil
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

from benchmarks.mutants.plan import ROOT, SOURCE, WAITING, WORK

__all__ = ["COPY", "HUNG", "collected", "in_fork", "put", "replaced", "run_anew", "run_items"]

COPY = Path(tempfile.mkdtemp(prefix="mutants-")) / "varshift"
HUNG = -1  # in place of an exit code
FAILURE = COPY.parent / "failure.txt"  # what the last test to fail said
_MEMORY = 8 << 30  # bytes of its own that a fork may hold
_LOADED: dict[str, list[FunctionType]] = defaultdict(list)  # the functions of each file
_PYTEST = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--rootdir={ROOT}")


def collected(test_files: Sequence[str], use: Callable[[dict[str, pytest.Item]], None]) -> None:
    """Import the copy, collect the tests, and call `use` with them by name."""
    assert not any(name.partition(".")[0] == "varshift" for name in sys.modules)
    shutil.copytree(SOURCE, COPY, ignore=shutil.ignore_patterns("__pycache__"))
    owner = os.getpid()
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(COPY.parent))
    os.environ["PYTHONPATH"] = os.pathsep.join((str(COPY.parent), str(ROOT)))
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # of two files of one second one would be stale
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(WORK / "hypothesis")
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(COPY.parent))
    WORK.mkdir(parents=True, exist_ok=True)
    code = pytest.main([*_PYTEST, *test_files], plugins=[_Instead(use)])
    if code:
        raise SystemExit(int(code))


class _Instead:
    """A plugin that does something else with the tests than to run them."""

    def __init__(self, use: Callable[[dict[str, pytest.Item]], None]) -> None:
        self._use = use

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        assert Path(sys.modules["varshift"].__file__ or "").parent == COPY
        for each in gc.get_objects():
            if type(each) is FunctionType and each.__code__.co_filename.startswith(str(COPY)):
                _LOADED[each.__code__.co_filename].append(each)
        gc.freeze()
        self._use({item.nodeid: item for item in session.items})
        return True


def put(file: str, source: str) -> None:
    """Write a file of the copy."""
    (COPY / file).write_text(source)


def run_items(items: Sequence[pytest.Item], met: Callable[[pytest.TestReport], bool]) -> None:
    """Run tests one after the other; `met` sees every report and says whether to go on."""
    config = items[0].config
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reporter._tw._file = open(os.devnull, "w")  # noqa: SIM115 - as long as the fork
    seen = _Reports()
    config.pluginmanager.register(seen)
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        if not all([met(report) for report in seen.taken()]):
            return


class _Reports:
    def __init__(self) -> None:
        self._found: list[pytest.TestReport] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._found.append(report)

    def taken(self) -> list[pytest.TestReport]:
        found, self._found = self._found, []
        return found


def run_anew(names: Sequence[str], seconds: float) -> int:
    """The same in a process of its own, for what a loaded module cannot be given."""
    command = [sys.executable, "-m", "pytest", *_PYTEST, "--tb=line", "-x", *names]
    with FAILURE.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=output, start_new_session=True
        )
        try:
            return process.wait(WAITING + seconds)
        except subprocess.TimeoutExpired:
            return HUNG
        finally:
            _end(process.pid)
            process.wait()


def in_fork(work: Callable[[], int], seconds: float) -> int:
    """The exit code of `work` in a process group of its own; HUNG after so much processor time."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
            resource.setrlimit(resource.RLIMIT_CPU, (ceil(seconds), ceil(seconds)))
            code = work()
        except BaseException:
            FAILURE.write_text(traceback.format_exc())
        finally:
            os._exit(code)
    try:
        code = _waited(child, time.monotonic() + WAITING + seconds)
        return HUNG if code in (-signal.SIGKILL, -signal.SIGXCPU) else code
    finally:
        _end(child)  # what it has started


def _waited(child: int, until: float) -> int:
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    _end(child)
    os.waitpid(child, 0)
    return HUNG


def _end(child: int) -> None:
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        return


def replaced(file: str, source: str) -> list[tuple[FunctionType, CodeType]] | None:
    """The loaded functions that the change is in, with their new code.

    None where it is not in functions: constants, defaults, bodies of classes.
    """
    path = str(COPY / file)
    old = compile((SOURCE / file).read_text(), path, "exec")
    new = compile(source, path, "exec")
    changed = list(_changed(old, new))
    if not changed or any(after is None for _, after in changed):
        return None
    found = []
    for before, after in changed:
        assert after is not None
        same = [f for f in _LOADED[path] if _place(f.__code__) == _place(before)]
        if any(len(f.__code__.co_freevars) != len(after.co_freevars) for f in same):
            return None
        if not same and path in _LOADED:
            return None
        found += [(function, after) for function in same]
    return found


def _changed(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType | None]]:
    """Pairs of functions' code that differ; (code, None) where a module or class body does."""
    if _own(old) != _own(new):
        yield old, None
        return
    for before, after in zip(_inner(old), _inner(new), strict=True):
        if before == after:
            continue
        if before.co_flags & 1:  # a function's: its variables are fast ones
            yield before, after
        else:
            yield from _changed(before, after)


def _own(code: CodeType) -> tuple[Any, ...]:
    others = tuple(const for const in code.co_consts if not isinstance(const, CodeType))
    return code.co_code, repr(others), code.co_names, len(_inner(code))


def _inner(code: CodeType) -> list[CodeType]:
    return [const for const in code.co_consts if isinstance(const, CodeType)]


def _place(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno
