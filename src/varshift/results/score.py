"""What a repair scores on held-out samples, and against the model as it was trained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from varshift._base import plain
from varshift.theory.paired import Paired

__all__ = ["Score", "Trial", "Verdict"]

Verdict = Literal[
    "passed",
    "worse",
    "no better",
    "not better beyond chance",
    "accuracy fell",
    "not finite",
    "failed",
]
"""What became of a repair that was tried; "failed" is one that could not be made."""


class Score(float):
    """Mean loss of the held-out samples; in all else a float, that knows more than the mean.

    The loss against labels, or without labels the divergence from the noise-averaged prediction.

    Attributes:
        loss_se: its standard error.
        accuracy: share of right predictions; None where that cannot be said.
        accuracy_se: its standard error; None with `accuracy`.
        samples: how many held-out samples.

    >>> score = Score(0.3, 0.01, 0.9, 0.005, 4096)
    >>> score < 0.4, score.accuracy
    (True, 0.9)
    """

    loss_se: float
    accuracy: float | None
    accuracy_se: float | None
    samples: int

    def __new__(
        cls,
        loss: float,
        loss_se: float,
        accuracy: float | None,
        accuracy_se: float | None,
        samples: int,
    ) -> Score:
        """The mean loss and what goes with it."""
        made = super().__new__(cls, loss)
        made.loss_se, made.samples = loss_se, samples
        made.accuracy, made.accuracy_se = accuracy, accuracy_se
        return made

    @property
    def loss(self) -> float:
        """The mean loss alone."""
        return float(self)

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.loss, self.loss_se, self.accuracy, self.accuracy_se, self.samples

    def __repr__(self) -> str:
        return f"Score{self.__getnewargs__()!r}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; null where not known."""
        names = ("loss", "loss_se", "accuracy", "accuracy_se", "samples")
        return {name: plain(getattr(self, name)) for name in names}


@dataclass(frozen=True)
class Trial:
    """A candidate against the model as trained, paired over the held-out samples.

    Attributes:
        loss: the change of loss, negative is better.
        accuracy: that of accuracy; None where that cannot be said.

    >>> change = Paired(mean=-0.1, se=0.02, low=-0.14, high=-0.06, p_value=0.001, samples=100)
    >>> Trial(change, None).verdict(level=0.05, tests=3)
    'passed'
    >>> Trial(change, None).verdict(level=0.001, tests=3)
    'not better beyond chance'
    """

    loss: Paired
    accuracy: Paired | None

    def passes(self, level: float, tests: int) -> bool:
        """Whether the loss is lower beyond chance, and accuracy not lower beyond chance."""
        return self.verdict(level, tests) == "passed"

    def verdict(self, level: float, tests: int) -> Verdict:
        """What becomes of the candidate; it passes where `passes` says so.

        `level` is the chance of accepting what does not help, shared out evenly over all `tests`
        (Bonferroni), so that trying many repairs does not make a lucky one.
        """
        loss, lost, asked = self.loss, self.accuracy, level / tests
        if not math.isfinite(loss.mean):
            return "not finite"
        if loss.mean >= 0:
            return "worse" if loss.low > 0 else "no better"
        if loss.p_value >= asked:
            return "not better beyond chance"
        fell = lost is not None and lost.mean < 0 and lost.p_value < asked
        return "accuracy fell" if fell else "passed"
