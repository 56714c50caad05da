"""`python -m tests.faults.soak --minutes 60`: all verbs in one process, and nothing grows.

A round does everything once. After a warm-up of rounds, what the process holds is compared between
the first rounds and the last: what has grown is printed with its number, and fails.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

from faults.counts import EXACT, counts, kinds  # noqa: E402

WARM_UP = 3  # rounds: every library has been loaded, every cache has its first entries
MEMORY = 32 << 20  # bytes that the last rounds may take more than the first
OBJECTS, A_ROUND = 500, 5  # of the garbage collector's: one for each job would be 186 a round


Jobs = Iterable[tuple[str, Callable[[], object]]]


def soak(jobs: Jobs, goes_on: Callable[[int], bool], note: Callable[[str], None] = print) -> list:
    """Run all jobs round after round while `goes_on(rounds done)`; the counts after each."""
    held = list(jobs)
    found = []
    while goes_on(len(found)):
        for name, job in held:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    job()
            except Exception as error:
                error.add_note(f"in round {len(found) + 1}, at the job {name!r}")
                raise
        found.append(counts())
        last = found[-1]
        note(f"round {len(found)}: " + ", ".join(f"{each} {last[each]:,}" for each in last))
    return found


def grown(found: Sequence[dict[str, int]]) -> list[str]:
    """What is larger in the last quarter of the rounds than in the first after the warm-up."""
    after = found[WARM_UP:]
    if len(after) < 2:
        raise ValueError(f"{len(found)} rounds say nothing: {WARM_UP + 2} at least")
    part = max(1, len(after) // 4)
    first, last = after[:part], after[-part:]
    said = []
    for name in after[0]:
        more = {"memory": MEMORY, "objects": max(OBJECTS, A_ROUND * len(after))}
        allowed = 0 if name in EXACT else more[name]
        # The least of the last against the most of the first: what goes up and down is no growth.
        before, now = max(each[name] for each in first), min(each[name] for each in last)
        if now > before + allowed:
            said.append(f"{name} grew from {before:,} to {now:,} in {len(after)} rounds")
    return said


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--minutes", type=float, default=60)
    asked.add_argument("--out", type=Path, help="write the figures as a page there")
    given = asked.parse_args()
    import matplotlib
    import torch

    matplotlib.use("agg")
    torch.set_num_threads(1)
    start = time.monotonic()

    def goes_on(rounds: int) -> bool:
        return rounds < WARM_UP + 2 or time.monotonic() - start < 60 * given.minutes

    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder  # only what this process leaves there is counted
        from faults.jobs import jobs

        every = list(jobs(Path(folder)))
        warm: dict[str, int] = {}

        def note(line: str) -> None:
            print(line, flush=True)
            if line.startswith(f"round {WARM_UP}:"):
                warm.update(kinds())

        found = soak(every, goes_on, note)
        tempfile.tempdir = None
    said, minutes = grown(found), (time.monotonic() - start) / 60
    print(*said or ["nothing grew"], sep="\n")
    more = {name: count - warm.get(name, 0) for name, count in kinds().items()}
    for name, count in sorted(more.items(), key=lambda each: -each[1])[:12]:
        print(f"  {count:+,} {name}")
    if given.out is not None:
        given.out.write_text(page(found, said, len(every), minutes, given.minutes), "utf-8")
    return bool(said)


def page(found: list, said: list[str], jobs: int, minutes: float, asked: float) -> str:
    """The figures as Markdown, with what made them."""
    import numpy
    import torch

    import varshift

    after = found[WARM_UP:]
    rows = [
        f"| {name} | {after[0][name]:,} | {max(each[name] for each in after):,} | "
        f"{after[-1][name]:,} |"
        for name in after[0]
    ]
    return "\n".join(
        [
            "# An hour of everything in one process\n",
            f"{len(found)} rounds of {jobs} jobs in {minutes:.0f} minutes: every verb on models of",
            "several kinds, with loaders and forwards that raise among them, every face of a",
            "result, checkpoints, and the commands. Memory and all objects may grow by "
            f"{MEMORY >> 20} MiB and {max(OBJECTS, A_ROUND * len(after))}; of all",
            "else the last quarter of the rounds may not hold more than the first after "
            f"{WARM_UP} rounds of warm-up.\n",
            f"**{'; '.join(said) or 'Nothing grew.'}**\n",
            f"| held after a round | round {WARM_UP + 1} | most | round {len(found)} |",
            "|---|---:|---:|---:|",
            *rows,
            "",
            "Memory and tensors in bytes. Made by "
            f"`python -m tests.faults.soak --minutes {asked:g} --out docs/results/soak.md`, with",
            f"varshift {varshift.__version__}, torch {torch.__version__}, numpy "
            f"{numpy.__version__}, Python {platform.python_version()} on "
            f"{platform.system()} {platform.machine()}.\n",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
