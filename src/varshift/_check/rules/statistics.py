"""VS201 to VS206: stored statistics that do not fit, whatever the noise does."""

from __future__ import annotations

from collections.abc import Iterator

from varshift._check.evidence import Evidence
from varshift._check.passes import Met
from varshift._check.staleness import Stale, against, left_over, started_elsewhere, unfit
from varshift.results import Finding, Norm
from varshift.results.findings import Basis

__all__ = ["statistics"]


def statistics(evidence: Evidence) -> Iterator[Finding]:
    """At most one finding per norm: the first reason that is large enough."""
    waiting: dict[str, list[str]] = {}
    for norm in evidence.structure.norms:
        if norm.path in evidence.by_batch:
            continue  # evaluation reads nothing that it stores
        found = _of_norm(evidence, norm, waiting)
        if found is not None:
            yield found
    for reason, paths in waiting.items():
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        evidence.notes.append(f"{', '.join(paths[:3])}{more}: {reason}")


def _of_norm(evidence: Evidence, norm: Norm, waiting: dict[str, list[str]]) -> Finding | None:
    if norm.calls == 0:
        return _unreached(evidence, norm)
    reason = _reason(evidence, norm)
    if reason is None and not evidence.real:
        return _too_slow(evidence, norm, waiting)
    met = evidence.seen.sites.get(norm.path)
    if met is None:
        return None
    if not (evidence.real or met.fresh):
        # Trained statistics against an example would measure the example.
        waiting.setdefault(f"{reason}: pass data to see whether it fits", []).append(norm.path)
        return None
    if met.fresh and reason in (None, _CUMULATIVE):
        return None  # not trained yet, and nothing in the way of it
    # Of a recalibrated model evaluation fits; of one that never was trained nothing is meant to.
    stale = unfit(met) if not met.fresh else against(met.train, met.stored.var)
    return _judged(evidence, norm, _code(evidence, norm, met, reason), stale, evidence.basis)


_ZERO = "momentum 0, its statistics never change"
_CUMULATIVE = "momentum None, every step since the first weighs the same"
_FROZEN = "in eval mode while the model trains"


def _reason(evidence: Evidence, norm: Norm) -> str | None:
    if norm.frozen:
        return _FROZEN if evidence.lent_training else None
    if norm.momentum is None:
        return _CUMULATIVE
    return _ZERO if norm.momentum == 0 else None


def _code(evidence: Evidence, norm: Norm, met: Met, reason: str | None) -> str:
    known = {_FROZEN: "VS204", _CUMULATIVE: "VS203", _ZERO: "VS201"}
    if reason is not None:
        return known[reason]
    stored, steps = met.stored, met.stored.count
    left = left_over(stored.var, norm.momentum or 0.0, steps) if steps else None
    return "VS202" if left is not None and left.severity > evidence.max_severity else "VS206"


def _too_slow(evidence: Evidence, norm: Norm, waiting: dict[str, list[str]]) -> Finding | None:
    """From the checkpoint alone: num_batches_tracked says how much of the initial 1 is left."""
    if norm.frozen or not norm.momentum:
        return None
    held = evidence.stored(norm.path)
    if held is None or held[1] == 0:
        return None
    var, steps = held
    weight = (1 - norm.momentum) ** steps
    if weight > 0.01 and started_elsewhere(var, weight):
        reason = (
            f"{steps} steps at momentum {norm.momentum:g} are few, and it did not start at "
            "variance 1: pass data to see whether it fits"
        )
        waiting.setdefault(reason, []).append(norm.path)
        return None
    return _judged(
        evidence, norm, "VS202", left_over(var, norm.momentum, steps), "checkpoint", steps
    )


def _unreached(evidence: Evidence, norm: Norm) -> Finding | None:
    """Only where evaluation runs it: what neither mode reaches is in the structure's notes."""
    met = evidence.seen.sites.get(norm.path)
    if met is None or not met.test.count or met.train.count:
        return None
    if not (met.fresh or evidence.real):
        evidence.notes.append(
            f"{norm.path}: evaluation runs it, training does not: pass data to see whether it fits"
        )
        return None
    stale = against(met.test, met.stored.var)
    return _judged(evidence, norm, "VS205", stale, evidence.basis)


def _judged(
    evidence: Evidence,
    norm: Norm,
    code: str,
    stale: Stale | None,
    basis: Basis,
    steps: int = 0,
) -> Finding | None:
    if stale is None or not evidence.surely(stale.severity if stale.low is None else stale.low):
        return None
    return Finding(
        code=code,
        place=norm.path,
        noises=(),
        severity=stale.severity,
        low=stale.low,
        high=stale.high,
        shift=stale.shift,
        how="inverted" if basis == "checkpoint" else "measured",
        basis=basis,
        message=_message(norm, code, stale, steps),
        line=evidence.line((), norm.path),
    )


def _message(norm: Norm, code: str, stale: Stale, steps: int) -> str:
    momentum = "None" if norm.momentum is None else f"{norm.momentum:g}"
    reasons = {
        "VS201": "has momentum 0, so its statistics never change",
        "VS202": f"at momentum {momentum} has not forgotten the variance it was made with"
        + (f" after {steps} steps" if steps else ""),
        "VS203": "has momentum None, so the first steps weigh as much as the last",
        "VS204": "is in eval mode while the model trains",
        "VS205": "is run in evaluation and never in training",
        "VS206": "has stored another variance than the data has",
    }
    return (
        f"the norm {norm.path!r} {reasons[code]}: what arrives has {stale.shift:.2f} of the stored "
        f"variance (severity {stale.severity:.2f})"
    )
