"""VS208: a norm runs several times a pass on unlike inputs, and evaluation has one average."""

from __future__ import annotations

from collections.abc import Iterator

from varshift._check.evidence import Evidence
from varshift._check.reuse import worst_run
from varshift._check.staleness import Stale
from varshift.results import Finding, Norm

__all__ = ["unlike_runs"]


def unlike_runs(evidence: Evidence) -> Iterator[Finding]:
    """One finding per norm: of the run that surely is furthest from the average."""
    for norm in evidence.structure.norms:
        if norm.calls < 2 or norm.path in evidence.steady:
            continue  # of one average in both modes, or of none in either
        met = evidence.seen.sites.get(norm.path)
        found = None if met is None else worst_run(met.train, norm.eps)
        if found is not None and evidence.surely(found[1].least):
            yield evidence.of_statistics("VS208", norm.path, found[1], _message(norm, *found))


def _message(norm: Norm, run: int, off: Stale) -> str:
    of = "means" if off.of_means else "variances"
    return (
        f"the norm {norm.path!r} runs {norm.calls} times a pass on unlike inputs: training gives "
        "each run its own statistics, evaluation one average to all. What run "
        f"{run + 1} receives has {off.shift:.2f} times its variance and a mean {off.moved:.2f} "
        f"deviations away (severity {off.severity:.2f}, that of the {of})"
    )
