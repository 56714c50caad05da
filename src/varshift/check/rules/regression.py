"""VS301: noise, then a nonlinearity, then weights, in a network that returns numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator

from varshift.check.evidence import Evidence
from varshift.check.results import Finding
from varshift.explain import Explanation, explain
from varshift.explain.lanes import outputs_of
from varshift.lending import Buffers, call
from varshift.structure import Noise

__all__ = ["biased_regression"]


def biased_regression(evidence: Evidence) -> Iterator[Finding]:
    """Outputs whose mean noise moves that no norm takes up.

    Asked of outputs of one feature, and of all where the task is said to be regression.
    """
    routed = {route.noise for route in evidence.structure.routes}
    free = [n for n in evidence.structure.noises if n.active and n.module and n.name not in routed]
    if not free:
        return
    wanted = _regressions(evidence)
    if not wanted:
        return
    found = explain(
        evidence.model, [batch.value for batch in evidence.rounds], forward=evidence.forward
    )
    for name in wanted:
        if name in found.outputs:
            yield from _of_output(evidence, found, name, free)


def _regressions(evidence: Evidence) -> list[str]:
    first, buffers = evidence.held[0], Buffers(evidence.model)
    out = call(evidence.model, first, evidence.forward)
    buffers.restore()
    return [
        name
        for name, value in outputs_of(out, first.samples)
        if evidence.task == "regression" or value[0].numel() == 1
    ]


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
    whole = found.outputs[name].mean_shift
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
            f"{name!r} by {float(whole):.2f} of its deviations at test: that alone multiplies the "
            f"squared deviation by {severity:.2f}"
        ),
        line=evidence.line(guilty, ""),
    )


def _least(value: float, error: float) -> float:
    return max(0.0, float(value) - 2 * (error if math.isfinite(error) else 0.0))
