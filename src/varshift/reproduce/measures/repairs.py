"""The paper's repair in both readings, this project's, and the noisy ensemble they aim at."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

from torch import nn

from varshift._repair.repairing import repair
from varshift.reproduce.measures.accuracy import Pair
from varshift.results import Score

__all__ = ["METHODS", "repair_records"]

METHODS = ("adjust-once", "adjust-live", "recalibrate", "distill")


def repair_records(
    net: nn.Module,
    *,
    calibration: Sequence[Pair],
    test: Sequence[Pair],
    methods: Sequence[str],
    passes: int,
    seed: int,
) -> dict[str, Any]:
    """What each repair, made on training images, scores on the test images.

    All scores are there, kept or not: a table must show what the gate is good for. `kept` is what
    the gate would keep if it judged by these same images.
    """
    made = repair(
        copy.deepcopy(net),
        calibration,
        held_out=test,
        method=methods,
        passes=passes,
        seed=seed,
        max_samples=10**9,
        max_held_out=10**9,
    )
    told: dict[str, Any] = {
        candidate.method: _score(candidate.score)
        | {"seconds": candidate.seconds, "accepted": candidate.accepted}
        for candidate in made.candidates
        if candidate.score is not None
    }
    if made.reference is not None:
        told["noisy ensemble"] = _score(made.reference) | {"passes": passes}
    return told | {"kept": made.method, "calibration": made.calibration}


def _score(score: Score) -> dict[str, float]:
    accuracy = math.nan if score.accuracy is None else score.accuracy
    return {"error": 1 - accuracy, "loss": score.loss}
