"""VS201 to VS207: stored statistics that do not fit, whatever the noise does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from varshift._check.evidence import Evidence
from varshift._check.passes import Met
from varshift._check.staleness import (
    Stale,
    left_over,
    misfit,
    of_one_batch,
    started_elsewhere,
    unfit,
)
from varshift._counting import counted, verb
from varshift._measure.staleness import (
    LARGE,
    Arrived,
    known_momentum,
    large_momentum,
    staleness_of,
)
from varshift.results import Finding, Norm, StaleCause, Staleness
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
    met = evidence.seen.sites.get(norm.path) if evidence.real or norm.calls == 0 else None
    if norm.calls == 0 and not (met is not None and met.train.count):
        return _unreached(evidence, norm, met)
    reason = _reason(evidence, norm)
    # Trained weights beside statistics as made: that an example shows as well as data.
    lost = evidence.fresh(norm.path) and evidence.weights_trained(norm.path)
    if reason is None and not (evidence.real or lost):
        return _too_slow(evidence, norm, waiting)
    met = evidence.seen.sites.get(norm.path)
    if met is None:
        return None
    if not (evidence.real or met.fresh):
        # Trained statistics against an example would measure the example.
        waiting.setdefault(f"{reason}; {_PASS_DATA}", []).append(norm.path)
        return None
    if met.fresh and not lost and reason in (None, _CUMULATIVE):
        # Not trained yet, and nothing in the way of it, as far as its own weights tell.
        stale = misfit(met.train, met.stored, norm) if evidence.real and not norm.affine else None
        if stale is not None and evidence.surely(stale.least):
            waiting.setdefault(_AS_MADE, []).append(norm.path)
        return None
    # Of a recalibrated model evaluation fits; of one that never was trained nothing is meant to.
    stale = misfit(met.train, met.stored, norm) if met.fresh else unfit(met, norm)
    if stale is None:
        return None
    if stale.few is not None and not evidence.surely(stale.least):
        evidence.apart[norm.path] = stale.few
    why = staleness_of(norm, met.stored, _arrived(met, norm), trained=lost)
    found = _judged(evidence, norm, _CODES[why.cause], stale, evidence.basis, why)
    return found or _by_chance(evidence, norm, met, why, waiting)


def _by_chance(
    evidence: Evidence, norm: Norm, met: Met, why: Staleness, waiting: dict[str, list[str]]
) -> Finding | None:
    """Of a large momentum: what is stored fits this data, but the next last batch may not."""
    if norm.frozen or known_momentum(norm.momentum) < LARGE:
        return None
    typical = of_one_batch(met.train, norm)
    cause = replace(why, cause=StaleCause.LARGE_MOMENTUM)
    found = None
    if typical is not None:
        found = _judged(evidence, norm, "VS207", typical, evidence.basis, cause)
    if found is None:
        fits = f"{large_momentum(norm.momentum or 0.0)}: this batch fits, the next may not"
        waiting.setdefault(fits, []).append(norm.path)
    return found


_ZERO = "momentum is 0, so its statistics never change"
_CUMULATIVE = "momentum is None, so every step since the first weighs the same"
_FROZEN = "in eval mode while the model trains"
_FROZEN_IN_CODE = "its own code goes by what is stored while the model trains"
_PASS_DATA = "pass data to see whether the stored statistics fit"
_AS_MADE = (
    "its statistics are still mean 0 and variance 1, as made, and it has no weights that show "
    "whether it was trained. If it was, its buffers were not saved or averaged with the weights: "
    "recalibrate"
)

_CODES = {
    StaleCause.FROZEN: "VS204",
    StaleCause.NEVER_UPDATED: "VS201",
    StaleCause.FEW_STEPS: "VS202",
    StaleCause.FROM_THE_START: "VS203",
    StaleCause.LARGE_MOMENTUM: "VS207",
    StaleCause.LAST_BATCHES: "VS207",
    StaleCause.OTHER_SCALE: "VS206",
    StaleCause.UNKNOWN: "VS206",
}


def _arrived(met: Met, norm: Norm) -> Arrived:
    total, train = met.train.total(), met.train
    live = total.var() > 0
    return Arrived(total.mean, train.within(), live, train.scattered, train.series, norm.eps)


def _reason(evidence: Evidence, norm: Norm) -> str | None:
    if norm.frozen:
        in_code = norm.momentum is not None and math.isnan(norm.momentum)
        frozen = _FROZEN_IN_CODE if in_code else _FROZEN
        return frozen if evidence.lent_training else None
    if norm.momentum is None:
        return _CUMULATIVE
    return _ZERO if norm.momentum == 0 else None


def _too_slow(evidence: Evidence, norm: Norm, waiting: dict[str, list[str]]) -> Finding | None:
    """From the checkpoint alone: num_batches_tracked says how much of the initial 1 is left."""
    if norm.frozen or norm.momentum is None or not known_momentum(norm.momentum):
        return None
    held = evidence.stored(norm.path)
    if held is None or held[1] == 0:
        return None
    var, steps = held
    weight = (1 - norm.momentum) ** steps
    reason = ""
    if weight > 0.01 and started_elsewhere(var, weight):
        reason = (
            f"{counted(steps, 'step')} at momentum {norm.momentum:g} {verb(steps, 'are')} few, and "
            "the average did not start at variance 1"
        )
    elif norm.momentum >= LARGE:
        reason = large_momentum(norm.momentum)
    if reason:
        waiting.setdefault(f"{reason}; {_PASS_DATA}", []).append(norm.path)
        return None
    left = left_over(var, norm.momentum, steps)
    if left is None:
        return None
    why = Staleness(StaleCause.FEW_STEPS, norm.momentum, steps, initial=weight, apart=0.0)
    return _judged(evidence, norm, "VS202", left, "checkpoint", why)


def _unreached(evidence: Evidence, norm: Norm, met: Met | None) -> Finding | None:
    """Only where evaluation runs it: what neither mode reaches is in the structure's notes."""
    if met is None or not met.test.count or met.train.count:
        return None
    if not (met.fresh or evidence.real):
        evidence.notes.append(f"{norm.path}: evaluation runs it, training does not; {_PASS_DATA}")
        return None
    stale = misfit(met.test, met.stored, norm)
    return None if stale is None else _judged(evidence, norm, "VS205", stale, evidence.basis)


def _judged(
    evidence: Evidence,
    norm: Norm,
    code: str,
    stale: Stale,
    basis: Basis,
    why: Staleness | None = None,
) -> Finding | None:
    if not evidence.surely(stale.least):
        return None
    message = _message(norm, code, stale, why)
    return evidence.of_statistics(code, norm.path, stale, message, basis)


def _message(norm: Norm, code: str, stale: Stale, why: Staleness | None) -> str:
    cause = "" if why is None else f". {why.sentence.rstrip('.')}"
    if stale.typical:
        return (
            f"the norm {norm.path!r} {_WRONG[code]}: for half of all batches, what one batch "
            f"leaves is off by severity {stale.severity:.2f} or more{cause}"
        )
    lost = f", where {counted(stale.lost, 'channel')} stored next to nothing" if stale.lost else ""
    means = f" and a mean {stale.moved:.2f} deviations away" if stale.moved >= _MOVED else ""
    of = "means" if stale.of_means else "variances"
    return (
        f"the norm {norm.path!r} {_WRONG[code]}: what arrives has {stale.shift:.2f} times the "
        f"stored variance{lost}{means} (severity {stale.severity:.2f}, that of the {of}){cause}"
    )


_MOVED = 0.05  # deviations from which a mean is worth a word
_WRONG = {
    "VS201": "was never updated",
    "VS202": "has not forgotten the statistics it was made with",
    "VS203": "averages all steps since the first",
    "VS204": "divides by what it has stored while the model trains",
    "VS205": "is run in evaluation and never in training",
    "VS206": "has stored other statistics than the data has",
    "VS207": "has stored the statistics of the last batches",
}
