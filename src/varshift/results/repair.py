"""What `repair` gives back: every candidate with its trial, what was kept, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from torch import Tensor

from varshift._base import Record, Undoable, plain
from varshift.errors import UsageError
from varshift.results.score import Score, Trial, Verdict
from varshift.results.structure import Structure
from varshift.theory.spread import median, quantiles

__all__ = ["Candidate", "Repair", "Rewrote"]

SCHEMA = "varshift.repair/1"


@dataclass(frozen=True)
class Candidate:
    """One repair that was tried.

    Attributes:
        method: its name.
        accepted: whether it passed the gate; the best of those that did is kept.
        score: what it scores on the held-out samples; None where it could not be made.
        trial: against the model as trained, paired over samples; None with `score`.
        seconds: what it took to make, judging left out.
        tensors: names of the tensors it would write.
        reason: why it could not be made, or was not accepted; "" where it was.
        notes: what could not be done in full while it was made.
        verdict: what became of it, in a word or two; "failed" where it could not be made.

    >>> import torch, varshift as vs
    >>> _ = torch.manual_seed(0)
    >>> norm = torch.nn.BatchNorm1d(8, momentum=None)
    >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), norm, torch.nn.Linear(8, 3))
    >>> data = [torch.randn(64, 8) for _ in range(40)]
    >>> _ = [model(batch) for batch in data]
    >>> r = vs.repair(model, data)
    >>> [candidate.method for candidate in r.candidates]
    ['recalibrate', 'correct', 'distill']
    >>> r["recalibrate"].verdict, r["recalibrate"].tensors
    ('worse', ('1.running_mean', '1.running_var'))
    """

    method: str
    accepted: bool
    score: Score | None
    trial: Trial | None
    seconds: float
    tensors: tuple[str, ...]
    reason: str = ""
    notes: tuple[str, ...] = ()
    verdict: Verdict = "failed"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        held: dict[str, Any] = plain(asdict(self))
        return held | {"score": _score(self.score)}


@dataclass(frozen=True, eq=False, repr=False)
class Rewrote(Record):
    """What one tensor held and what it holds now.

    Attributes:
        before: a copy of its old values.
        after: a copy of its new ones.

    >>> import torch
    >>> change = Rewrote(torch.tensor([1.0, 2.0, 0.0]), torch.tensor([3.0, 8.0, 1.0]))
    >>> change.moved, change.ratio, change.ratios
    (2.0, 3.5, (3.05, 3.25, 3.5, 3.75, 3.95))
    """

    before: Tensor
    after: Tensor

    @property
    def moved(self) -> float:
        """Median of |new − old| over its values."""
        return median((self.after - self.before).abs())

    @property
    def ratio(self) -> float:
        """Median of new ÷ old over the values that were positive: of use for variances."""
        return median(self._ratios())

    @property
    def ratios(self) -> tuple[float, ...]:
        """New ÷ old at 5, 25, 50, 75 and 95 % of the values that were positive."""
        return quantiles(self._ratios())

    def _ratios(self) -> Tensor:
        before, after = self.before.double(), self.after.double()
        return (after / before)[before > 0]


@dataclass(frozen=True, eq=False, repr=False)
class Repair(Undoable):
    """The best repair that was measured to help, written in place; or an untouched model.

    Attributes:
        accepted: whether the model was changed.
        method: the repair that was kept, None where none was.
        reason: why, in a sentence.
        before: score on the held-out samples as lent; None where nothing was to be judged.
        after: the same as the model is now.
        reference: what the average of noisy passes scores against the labels, the aim.
        candidates: every repair that was tried, in order.
        changes: by state_dict name, each tensor that was written.
        judged_by: "labels" or "noise-averaged prediction".
        calibration: samples that repairs were found on.
        held_out: samples that they were judged on.
        split_seed: of the split; None where held-out data was given.
        structure: the noises, norms and routes, without the model: `inspect` it for `prove()`.
        notes: what else a reader must know.
        labels_from: the item of a batch that was taken for labels: a key, the name of a field, or
            a position from 0; None where it was judged without, or by a `loss` of the user's.

    >>> import torch, varshift as vs
    >>> _ = torch.manual_seed(0)
    >>> norm = torch.nn.BatchNorm1d(8, momentum=None)
    >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), norm, torch.nn.Linear(8, 3))
    >>> data = [torch.randn(64, 8) for _ in range(40)]
    >>> _ = [model(batch) for batch in data]
    >>> r = vs.repair(model, data)
    >>> r.accepted, r.method, r.judged_by
    (True, 'distill', 'noise-averaged prediction')
    >>> sorted(r.changes), r.after < r.before
    (['1.bias', '1.weight'], True)
    >>> r.undo()
    >>> torch.equal(norm.weight, torch.ones(8))
    True
    """

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "repair",
        "loss",
        "loss_se",
        "accuracy",
        "change",
        "low",
        "high",
        "p_value",
        "accepted",
    )

    accepted: bool
    method: str | None
    reason: str
    before: Score | None
    after: Score | None
    reference: Score | None
    candidates: tuple[Candidate, ...]
    changes: Mapping[str, Rewrote]
    judged_by: str
    calibration: int
    held_out: int
    split_seed: int | None
    structure: Structure
    notes: tuple[str, ...] = ()
    labels_from: str | int | None = None

    @property
    def _changed(self) -> bool:
        return self.accepted

    @property
    def kept(self) -> Candidate | None:
        """The candidate that was written; None where none was."""
        return None if self.method is None else self[self.method]

    @property
    def variances(self) -> dict[str, Rewrote]:
        """By path of a norm, how its `running_var` was rewritten."""
        return {
            name.rpartition(".")[0]: change
            for name, change in self.changes.items()
            if name.rpartition(".")[2] == "running_var"
        }

    @property
    def aim(self) -> float | None:
        """Loss of the noisy average less that of the model as trained; None without either."""
        if self.reference is None or self.before is None:
            return None
        return self.reference.loss - self.before.loss

    def __getitem__(self, method: str) -> Candidate:
        """The candidate of that name."""
        found = next((c for c in self.candidates if c.method == method), None)
        if found is None:
            tried = ", ".join(candidate.method for candidate in self.candidates) or "none"
            raise UsageError(f"{method!r} was not tried; there are {tried}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the verdict, every candidate, and each tensor's old and new values."""
        return {
            "schema": SCHEMA,
            "accepted": self.accepted,
            "method": self.method,
            "reason": self.reason,
            **{name: _score(getattr(self, name)) for name in ("before", "after", "reference")},
            "judged_by": self.judged_by,
            "labels_from": self.labels_from,
            "calibration": self.calibration,
            "held_out": self.held_out,
            "split_seed": self.split_seed,
            "candidates": [candidate.to_dict() for candidate in self.candidates],
            "changes": {
                name: {"before": plain(change.before), "after": plain(change.after)}
                for name, change in self.changes.items()
            },
            "notes": list(self.notes),
        }

    def rows(self) -> list[dict[str, Any]]:
        """One row per candidate, under one for the model as it was trained."""
        first = [] if self.before is None else [_row("as trained", self.before, None, False)]
        rows = [_row(c.method, c.score, c.trial, c.accepted) for c in self.candidates]
        last = (
            [] if self.reference is None else [_row("(noisy average)", self.reference, None, False)]
        )
        return [*first, *rows, *last]


def _score(score: Score | None) -> dict[str, Any] | None:
    return None if score is None else score.to_dict()


def _row(name: str, score: Score | None, trial: Trial | None, accepted: bool) -> dict[str, Any]:
    return {
        "repair": name,
        "loss": None if score is None else score.loss,
        "loss_se": None if score is None else score.loss_se,
        "accuracy": None if score is None else score.accuracy,
        "change": None if trial is None else trial.loss.mean,
        "low": None if trial is None else trial.loss.low,
        "high": None if trial is None else trial.loss.high,
        "p_value": None if trial is None else trial.loss.p_value,
        "accepted": accepted,
    }
