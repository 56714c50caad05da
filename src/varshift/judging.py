"""How `repair` judges: what a model is held against, on how many samples, how sure one must be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

from varshift.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Judge", "Kind", "Loss", "Output"]

Kind = Literal["logits", "probabilities", "values"]
Loss = Callable[[Any, Any], "Tensor"]
Output = Callable[[Any], "Tensor"]


@dataclass(frozen=True)
class Judge:
    """By what, and how strictly, repairs are judged: the `judge=` of `varshift.repair`.

    Args:
        labels: False to judge without labels though there are some: by the divergence from the
            noise-averaged prediction.
        loss: `lambda out, batch: …`, one loss per sample, (N,), in place of cross entropy (classes,
            shares of classes, zeros and ones) or squared error (other floating labels).
        output: `lambda out: …`, where the predictions are in what the model returns.
        kind: "logits", "probabilities" or "values"; by default read off the first output.
        passes: noisy passes that the noise-averaged prediction averages, at least 2.
        level: chance of accepting a repair that does not help, over all candidates together.
        max_held_out: samples to judge by at most, at least 2.

    Raises:
        UsageError: a value out of range, or a `loss` together with `labels=False`.

    >>> Judge(kind="values", level=0.01).level
    0.01
    >>> Judge(passes=1)
    Traceback (most recent call last):
    varshift.errors.UsageError: passes is 1; an average needs at least 2, a whole number
    """

    labels: bool = True
    loss: Loss | None = None
    output: Output | None = None
    kind: Kind | None = None
    passes: int = 8
    level: float = 0.05
    max_held_out: int = 4096

    def __post_init__(self) -> None:
        if not isinstance(self.passes, Integral) or self.passes < 2:
            raise UsageError(
                f"passes is {self.passes!r}; an average needs at least 2, a whole number"
            )
        if not 0 < self.level < 1:
            raise UsageError(f"level is {self.level}; pass a chance between 0 and 1, such as 0.05")
        if self.kind is not None and self.kind not in get_args(Kind):
            kinds = ", ".join(get_args(Kind))
            raise UsageError(f"kind is {self.kind!r}; pass one of {kinds}")
        if self.loss is not None and not self.labels:
            raise UsageError(
                "loss= judges by what it is given, labels=False without: pass one of the two"
            )
        if self.max_held_out < 2:
            raise UsageError("max_held_out must be at least 2")

    @classmethod
    def of(cls, judge: Judge | None, said: Options) -> Judge:
        """The judge that was passed, or the one that single keywords make, as before 0.2."""
        unknown = sorted(set(said) - set(cls.__dataclass_fields__))
        if unknown:
            raise TypeError(f"repair() got an unexpected keyword argument {unknown[0]!r}")
        if judge is None:
            return cls(**said)
        if said:
            raise UsageError(
                f"judge= and {next(iter(said))}= both say how to judge; pass "
                f"judge=Judge({next(iter(said))}=…) alone"
            )
        if not isinstance(judge, Judge):
            raise UsageError(f"judge is a {type(judge).__name__}; pass a varshift.judging.Judge")
        return judge


class Options(TypedDict, total=False):
    """The fields of `Judge` as keywords."""

    labels: bool
    loss: Loss | None
    output: Output | None
    kind: Kind | None
    passes: int
    level: float
    max_held_out: int
