"""At the end of a run: what was skipped, one line a reason, so that nobody takes it for tested.

A reason says what is missing and how to get it.
"""

from __future__ import annotations

from collections import defaultdict


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
