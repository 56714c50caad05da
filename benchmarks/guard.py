"""`python -m benchmarks guard` runs the quick ratios again and fails where one has grown.

A ratio has grown where all of its rounds lie above all rounds that the page shows, and by more
than a tenth; the same downwards is told and does not fail, for then the page is out of date. A
section says what of it is quick by `QUICK`, which is what `--only` would be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module

from rich.console import Console

from benchmarks.ledger import Ledger
from benchmarks.lines import Line, Spread, asked
from benchmarks.names import SECTIONS

__all__ = ["moved", "run"]

SLACK = 1.1  # what other work on the machine may do to a ratio


def run(console: Console, only: str = "") -> Iterable[Line]:
    """Quick lines of every section, or of those that `only` names."""
    ledger, grown = Ledger(), 0
    for name in SECTIONS:
        section = import_module(f"benchmarks.{name}")
        if not hasattr(section, "QUICK") or not asked(name, only):
            continue
        before = {(line.table, line.name): line for line in ledger.lines(name)}
        for line in section.run(console, section.QUICK):
            shown = before.get((line.table, line.name))
            for sentence, is_worse in moved(shown, line) if shown else ():
                console.print(f"{name}: {sentence}", highlight=False)
                grown += is_worse
    if grown:
        raise SystemExit("1 ratio has grown" if grown == 1 else f"{grown} ratios have grown")
    console.print("no ratio has grown", highlight=False)
    return ()


def moved(before: Line, after: Line) -> Iterator[tuple[str, bool]]:
    """What has left the spread of the page, as a sentence, and whether for the worse."""
    for heading, now in after.cells.items():
        then = before.cells.get(heading)
        if not isinstance(now, Spread) or not isinstance(then, Spread):
            continue
        is_worse = now.low > SLACK * then.high
        if is_worse or SLACK * now.high < then.low:
            times = now.median / then.median
            yield f"{after.name}, {heading}: {then} on the page, {now} now, {times:.2f} ×", is_worse
