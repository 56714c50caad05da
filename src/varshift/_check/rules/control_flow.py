"""VS107: what runs is drawn in Python."""

from __future__ import annotations

from collections.abc import Iterator

from varshift._check.evidence import Evidence
from varshift._counting import counted
from varshift.results import Finding

__all__ = ["control_flow"]


def control_flow(evidence: Evidence) -> Iterator[Finding]:
    """The norm that shifts most of those that no route leads to, if it surely shifts too much."""
    drawn = [n for n in evidence.structure.noises if n.active and n.law == "control-flow"]
    if not drawn:
        return
    skipped = {route.norm for route in evidence.structure.routes} | evidence.steady
    free = {
        path: size
        for path, size in evidence.sizes.items()
        if path not in skipped and not evidence.few(path)
    }
    names = tuple(noise.name for noise in drawn)
    over = [path for path, size in free.items() if evidence.surely(size.low)]
    if not over:
        worst = max((size.severity for size in free.values()), default=1.0)
        evidence.notes.append(
            f"{', '.join(names)}: a draw decides in Python what runs or what it is given; norms "
            f"that no route leads to have severity {worst:.2f} at most over {_draws(evidence)}"
        )
        return
    path = max(over, key=lambda path: free[path].severity)
    size = free[path]
    message = (
        f"{drawn[0].operation} {drawn[0].name!r} decides in Python what runs, and "
        f"{_shifting(path, len(over))}: "
        f"severity {size.severity:.2f} over {_draws(evidence)}"
    )
    yield evidence.drawn("VS107", path, drawn, size, message)


def _shifting(path: str, count: int) -> str:
    if count == 1:
        return f"the norm {path!r} shifts with it"
    return f"{counted(count, 'norm')} shift with it, {path!r} most"


def _draws(evidence: Evidence) -> str:
    return counted(evidence.passes.rounds, "draw")
