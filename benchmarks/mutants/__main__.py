"""Mutation testing of the mathematics, the engine, the blame and the gate: `make mutants`.

A fixed sample of small changes to the source; each is to be noticed by a test. What has a record in
docs/results/mutants.jsonl is not tried again, so that a run that is stopped goes on where it was.

    python -m benchmarks.mutants                     what is left, then the page
    python -m benchmarks.mutants --only theory       groups or files with that in their names
    python -m benchmarks.mutants --tests loaders,hidden    met by these test files alone
    python -m benchmarks.mutants --again             what has survived, once more
    python -m benchmarks.mutants --show KEY          the change as a diff
"""

from __future__ import annotations

import argparse
import difflib
import sys
import time

from benchmarks.mutants import children, table
from benchmarks.mutants.equivalent import EQUIVALENT
from benchmarks.mutants.plan import GROUPS, SECONDS, SOURCE, files_of, tests_of
from benchmarks.mutants.population import Mutant, sample
from benchmarks.mutants.records import LIVES, keep, keep_only, records
from benchmarks.mutants.running import Trials


def main() -> None:
    """Try what is left, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mutants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default="", help="part of a group's or a file's name")
    parser.add_argument(
        "--tests", default="", help="parts of test files' names: no others are followed and run"
    )
    parser.add_argument("--again", action="store_true", help="try what has survived once more")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="of tests for each, at most (%(default)g)"
    )
    parser.add_argument("--show", metavar="KEY", help="print that change, or all survivors': all")
    arguments = parser.parse_args()
    samples = {
        name: [m for m in sample(group) if arguments.only in name or arguments.only in m.file]
        for name, group in GROUPS.items()
        if arguments.only in name or any(arguments.only in str(f) for f in files_of(group))
    }
    if arguments.show:
        show(samples, arguments.show)
        return
    left = {
        name: [m for m in mutants if wanted(m.key, records(), arguments.again)]
        for name, mutants in samples.items()
    }
    left = {name: mutants for name, mutants in left.items() if mutants}
    parts = arguments.tests.split(",")
    tests = {
        name: [t for t in tests_of(GROUPS[name]) if any(p in t for p in parts)] for name in left
    }
    test_files = list(dict.fromkeys(file for files in tests.values() for file in files))
    if left:
        seconds = arguments.seconds
        children.collected(test_files, lambda items: run(Trials(items, seconds), left, tests))
    if not arguments.only:
        keep_only({mutant.key for mutants in samples.values() for mutant in mutants})
    table.write()


def run(trials: Trials, left: dict[str, list[Mutant]], tests: dict[str, list[str]]) -> None:
    """Try them, group by group."""
    for group, mutants in left.items():
        started = time.monotonic()
        for count, mutant in enumerate(mutants, 1):
            record = trials.tried(group, mutant, tests[group])
            keep(record)
            ahead = (time.monotonic() - started) / count * (len(mutants) - count) / 60
            print(
                f"{group} {count}/{len(mutants)}, {ahead:.0f} min left: {mutant.key} "
                f"{mutant.file}:{mutant.line} {record['outcome']} {record['by']}",
                flush=True,
            )


def wanted(key: str, found: dict[str, dict[str, object]], again: bool) -> bool:
    if key not in found:
        return True
    return again and found[key]["outcome"] in LIVES and key not in EQUIVALENT


def show(samples: dict[str, list[Mutant]], key: str) -> None:
    """The change as a diff."""
    found = records()
    for mutant in (mutant for mutants in samples.values() for mutant in mutants):
        lives = key == "all" and wanted(mutant.key, found, True) and mutant.key in found
        if mutant.key == key or lives:
            original = (SOURCE / mutant.file).read_text().splitlines()
            changed = mutant.source.splitlines()
            print(f"{mutant.key} {mutant.function}")
            name = f"src/varshift/{mutant.file}"
            lines = difflib.unified_diff(original, changed, name, name, n=2, lineterm="")
            sys.stdout.writelines(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main()
