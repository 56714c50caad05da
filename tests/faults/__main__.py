"""`python -m tests.faults --cases 10000 --seed 0`: every case, and a count of the marks.

Nightly, by `make faults`. It says how far it is; `--begin` goes on where a run was stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

from faults.cases import cases, outcome  # noqa: E402


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--cases", type=int, default=3000)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--begin", type=int, default=0, help="leave out so many of the first cases")
    asked.add_argument("--only", default="", help="run the cases whose name holds this")
    asked.add_argument("--quiet", action="store_true")
    given = asked.parse_args()
    start, ran, marked, named = time.monotonic(), 0, [], 0
    for number, case in enumerate(cases(given.cases, given.seed)):
        if number < given.begin or given.only not in str(case):
            continue
        if number and number % 500 == 0 and not given.quiet:
            took = time.monotonic() - start
            print(
                f"{number:,} of {given.cases:,}, {len(marked)} in silence, {took:.0f} s", flush=True
            )
        ran += 1
        found = outcome(case)
        named += bool(found.marks) and not found.silent()
        if found.silent():
            marked.append(case)
            if not given.quiet:
                print(f"{case}: {', '.join(found.silent())}", flush=True)
    print(
        f"{ran} cases, {len(marked)} left a mark in silence, {named} one that was named; "
        f"{time.monotonic() - start:.0f} s"
    )
    for what in ("verb", "feature", "fault"):
        print(what, dict(Counter(getattr(case, what) for case in marked).most_common()))
    return bool(marked)


if __name__ == "__main__":
    sys.exit(main())
