"""Random numbers that evaluation draws: as training does too, or a reversed training flag."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from varshift._check.evidence import Evidence
from varshift._check.sizes import Size, measured
from varshift._counting import counted, verb
from varshift.results import Finding

__all__ = ["drawn_in_evaluation"]

_STAYS = (
    "noise stays on in eval mode: what it does in both modes is no shift and is not counted; "
    "check that F.dropout is given training=self.training"
)


def drawn_in_evaluation(evidence: Evidence, found: Sequence[Finding]) -> Iterator[str]:
    """A note where evaluation draws; with its size where no noise of training accounts for it."""
    if not evidence.lasting:
        return
    known = {route.norm for route in evidence.structure.routes} | evidence.steady
    placed = {finding.place for finding in found if finding.code != "VS108"}
    sizes = _measured(evidence, known | placed)
    if not sizes:
        yield _STAYS
        return
    worst = max(sizes, key=lambda path: sizes[path].severity)
    yield (
        "evaluation draws random numbers that training does not draw, as with a reversed training "
        f"flag: {counted(len(sizes), 'norm')} {verb(len(sizes), 'shift')} by it, most of all "
        f"{worst} (severity {sizes[worst].severity:.2f}, as varshift.measure finds on settled "
        "statistics)"
    )


def _measured(evidence: Evidence, known: set[str]) -> dict[str, Size]:
    if not set(evidence.seen.sites) - known:
        return {}
    return {
        path: size
        for path, size in measured(evidence.passes).items()
        if path not in known and evidence.surely(size.low) and not evidence.few(path)
    }
