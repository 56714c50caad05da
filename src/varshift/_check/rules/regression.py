"""VS301: noise, then a nonlinearity, then weights, in a network that returns numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator

from varshift._check.evidence import Evidence
from varshift._counting import counted
from varshift._explain.explaining import explain
from varshift.results import Explanation, Figure, Finding, Noise

__all__ = ["biased_regression"]

_FEW = 16  # samples below which neither a mean nor its error is known


def biased_regression(evidence: Evidence) -> Iterator[Finding]:
    """Outputs whose mean noise moves that no norm takes up.

    Asked of outputs of one feature, and of all where the task is said to be regression.
    """
    if not any(noise.active and noise.module for noise in evidence.structure.noises):
        return
    wanted = {name: free for name, free in _regressions(evidence).items() if free}
    if not wanted:
        return
    samples = evidence.passes.samples
    if samples < _FEW:
        evidence.notes.append(
            f"{', '.join(wanted)}: whether noise moves the mean of this output (VS301) was not "
            f"tested: that takes {_FEW} samples or more, and {counted(samples, 'sample')} came"
        )
        return
    # Every norm uses the statistics of training there, so what stale ones do to an output is not
    # put down to noise.
    times = 1 if evidence.real else evidence.passes.rounds
    found = evidence.explanation or explain(
        evidence.run.model,
        [batch.value for batch in evidence.passes.held] * times,
        forward=evidence.run.forward,
        progress=evidence.run.report.inner,
    )
    for name, free in wanted.items():
        if name in found.outputs:
            yield from _of_output(evidence, found, name, free)


def _regressions(evidence: Evidence) -> dict[str, list[Noise]]:
    """Outputs that are asked, with the noise that reaches each by a way around all norms."""
    noises = evidence.structure.noises
    return {
        name: [n for n in noises if n.active and n.module and n.name in way.sources]
        for name, way in evidence.passes.ways.items()
        if evidence.task == "regression" or way.single
    }


def _of_output(
    evidence: Evidence, found: Explanation, name: str, free: list[Noise]
) -> Iterator[Finding]:
    moves = {
        noise: figure
        for noise in free
        if (figure := found.blame.mean_shift.get((noise.name, name))) is not None
        and math.isfinite(figure)
    }
    guilty = sorted(
        (n for n in moves if _least(moves[n], moves[n].se) > 0), key=lambda n: -moves[n]
    )
    whole = _whole(evidence, found.outputs[name].mean_shift, [moves[n] for n in guilty], free)
    low = 1 + _least(whole, whole.se) ** 2
    if not guilty or not evidence.surely(low):
        return
    severity = 1 + float(whole) ** 2
    yield Finding(
        code="VS301",
        place=name,
        noises=tuple(noise.name for noise in guilty),
        severity=severity,
        low=low,
        high=1 + (float(whole) + 2 * whole.se) ** 2,
        shift=None,
        how="measured",
        basis=evidence.basis,
        message=(
            f"{guilty[0].operation} {guilty[0].name!r} before a nonlinearity moves the mean of "
            f"{name!r} by {float(whole):.2f} of its standard deviations at test: that alone "
            f"multiplies its squared deviation by {severity:.2f}"
        ),
        line=evidence.line(guilty, ""),
    )


def _whole(evidence: Evidence, moved: Figure, parts: list[Figure], free: list[Noise]) -> Figure:
    """How far the output moves by this noise: other noise comes through norms and is theirs."""
    active = [noise for noise in evidence.structure.noises if noise.active]
    own = sum(parts)
    if len(active) == len(free) or own >= moved:
        return moved
    return Figure(own, math.hypot(*(part.se for part in parts)))


def _least(value: float, error: float) -> float:
    return max(0.0, float(value) - 2 * (error if math.isfinite(error) else 0.0))
