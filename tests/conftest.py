"""At the end of a run: what was skipped, one line a reason, so that nobody takes it for tested.

A reason says what is missing and how to get it.
"""

from __future__ import annotations

import shutil
import signal
from collections import defaultdict

import pytest

# Run in the background or under nohup, the tests' own children would ignore these as well.
for number, usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    if hasattr(signal, number) and signal.getsignal(getattr(signal, number)) is signal.SIG_IGN:
        signal.signal(getattr(signal, number), usual)


# Minutes each: begun first, no worker is left alone with one at the end.
LONGEST = ("test_killed.py", "test_on_ray.py", "test_ray.py", "test_demo_figures.py")


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium: one for all tests of a process, which can run no second loop beside it."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no playwright; pip install playwright"
    )
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium; apt-get install chromium")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_terminal_summary(terminalreporter):
    """With xdist too: the reports of all workers meet in this one process."""
    tests = defaultdict(list)
    for report in terminalreporter.stats.get("skipped", ()):
        if isinstance(report.longrepr, tuple):  # an expected failure has another
            tests[report.longrepr[2].removeprefix("Skipped: ")].append(report.nodeid)
    for reason, names in sorted(tests.items()):
        files = sorted({name.partition("::")[0] for name in names})
        more = f" and {len(files) - 1} more files" if len(files) > 1 else ""
        terminalreporter.write_line(
            f"NOT TESTED: {len(names)} in {files[0]}{more}: {reason}", yellow=True
        )
