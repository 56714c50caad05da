"""The verdict: which cause displaces the worst place most."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from varshift.results import Factors, Figure
from varshift.results.explanation import CAUSES, FOUND, LEAST, Cause, Verdict
from varshift.results.grading import GRADES
from varshift.theory.spread import median

__all__ = ["LEAST", "fits", "judged", "sure"]


def judged(
    factors: Mapping[str, Factors], outputs: Mapping[str, Mapping[Cause, tuple[Figure, Figure]]]
) -> tuple[Verdict, dict[Cause, float], dict[Cause, str]]:
    """The verdict, and per cause the largest sure displacement and the place where it is.

    `outputs` has by name and cause the displacement, and the shift of the mean alone.
    """
    scores: dict[Cause, float] = dict.fromkeys(CAUSES, 0.0)
    worst: dict[Cause, str] = {}
    for path, site in factors.items():
        for cause, size in site.displacement.items():
            _keep(scores, worst, cause, path, sure(size))
    for name, moves in outputs.items():
        for cause, (displacement, mean_shift) in moves.items():
            # An output may well be another thing in evaluation; what its norms do to it is theirs.
            if cause == "other-norms" or (cause == "unattributed" and not factors):
                _keep(scores, worst, cause, name, sure(displacement))
            elif cause == "noise" and not factors:  # without any norm means are what is left
                _keep(scores, worst, cause, name, sure(mean_shift))
    first = max((*CAUSES, *FOUND), key=lambda cause: scores.get(cause, 0.0))
    return (first if scores.get(first, 0.0) >= LEAST else "none"), scores, worst


def fits(site: Factors) -> bool:
    """Whether a norm has stored what evaluation has: in most channels, and in all together."""
    ratio = site.channels["total"] / site.channels["data"]
    worst = median(torch.maximum(ratio, 1 / ratio))
    return site.off.value < LEAST and not worst > GRADES["mild"]


def sure(size: Figure) -> float:
    """The size less two standard errors; where the error is not known nothing is sure."""
    known = math.isfinite(size) and math.isfinite(size.se)
    return max(0.0, size.value - 2 * size.se) if known else 0.0


def _keep(
    scores: dict[Cause, float], worst: dict[Cause, str], cause: Cause, place: str, score: float
) -> None:
    if score > scores.get(cause, 0.0) or cause not in worst:
        scores[cause], worst[cause] = max(score, scores.get(cause, 0.0)), place
