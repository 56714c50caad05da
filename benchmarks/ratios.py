"""What each verb costs over the plain forward passes that it needs, and how that grows.

*measure* and *predict(data)* need one pass in training and one in evaluation mode; *check(data)*
one and two; *explain* two and two. `recalibrate` and `inspect` have sections of their own. What
grows linearly takes the same time for each norm and each batch, however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from rich.console import Console

from benchmarks import cases
from benchmarks.lines import Line, Spread, aimed, asked, seconds
from benchmarks.timing import Work, in_turn, ratio, spent

TITLE = "Verbs over the passes they need"
QUICK = "MLP"
LEVEL = 1.25  # the largest over the least, where time is linear


def run(console: Console, only: str = "") -> Iterator[Line]:
    """Verbs, then growth."""
    for case in cases.verbs():
        if asked(case.name, only):
            torch.manual_seed(0)
            plain, verb = case.make()
            times = in_turn({"plain": plain, "verb": verb}, case.rounds)
            spread = ratio(times, "verb", "plain")
            cells = {"passes": seconds(times["plain"]), "verb": seconds(times["verb"])}
            yield Line("", case.name, {**cells, "ratio": spread}, **aimed(spread.median, case.aim))
    yield from _growth("measure", "norms", cases.NORMS, cases.of_norms, only)
    yield from _growth("recalibrate", "batches", cases.BATCHES, cases.of_batches, only)


def _growth(
    verb: str, of: str, counts: tuple[int, ...], make: Callable[[int], Work], only: str
) -> Iterator[Line]:
    """Time for each; the last line holds all of them against the first."""
    table, each = f"growth of {verb}", {}
    if not asked(table, only):
        return
    for count in counts:
        torch.manual_seed(0)
        work = make(count)
        whole = [spent(work) for _ in range(3 if count < 1000 else 2)]
        each[count] = Spread.of(1e3 * one / count for one in whole)
        yield Line(table, f"{count:,} {of}", {"whole": seconds(whole), "ms each": each[count]})
    first, last = each[counts[0]], each[counts[-1]]
    growth = last.median / first.median
    name = f"each of {counts[-1]:,} over each of {counts[0]:,}"
    yield Line(table, name, {"ratio": f"{growth:.2f}"}, **aimed(growth, LEVEL))
