"""One repair in progress: candidates made, judged on the same held-out samples, and chosen from."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from varshift._engine.batches import call
from varshift._engine.borrow.model import borrowed, set_training
from varshift._engine.borrow.rng import seed_all
from varshift._engine.progress import Reporter
from varshift._repair.candidates import AVERAGING, Bench
from varshift._repair.distillation import cost
from varshift._repair.edits import Edit
from varshift._repair.gate import joined, score_of, tried
from varshift._repair.judging import Judge
from varshift._repair.labels import labels_of
from varshift._repair.losses import Losses
from varshift._repair.reasons import why_refused
from varshift._repair.split import Split
from varshift._repair.teaching import off_flags, taught
from varshift.errors import DataError, VarshiftError
from varshift.results.repair import Candidate
from varshift.results.score import Score

__all__ = ["Meter", "Outcome", "Run", "refuse_few"]

FEWEST = 20  # held-out samples: with fewer, Student's t errs more often than it says


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of the candidates."""

    before: Score
    candidates: list[Candidate]
    best: Candidate | None
    edit: Edit
    reference: Score | None
    ignored: int


class Meter:
    """Counts the passes that are done, for the progress bar."""

    def __init__(self, report: Reporter) -> None:
        self.planned = 0
        self._done = 0
        self._report = report
        self.say = report.say

    def __call__(self, passes: int) -> None:
        """So many more."""
        self._done += passes
        self._report(self._done, max(self.planned, self._done))


@dataclass
class Run:
    """One repair in progress."""

    split: Split
    judge: Judge
    bench: Bench
    level: float
    seed: int
    meter: Meter
    unlike: str | None
    _taught: list[Tensor] | None = None

    def outcome(self, asked: tuple[str, ...]) -> Outcome:
        """Make every candidate, put it to the test, and choose."""
        self.meter.planned = self._passes(asked)
        before = self._losses(Edit({}), "the model as trained")
        refuse_few(len(before.loss), before.ignored)
        candidates = [self._candidate(method, before, len(asked)) for method in asked]
        passed = [c for c in candidates if c.accepted and c.score is not None]
        best = min(passed, key=lambda c: c.score.loss if c.score else 0.0, default=None)
        return Outcome(
            before=score_of(before),
            candidates=candidates,
            best=best,
            edit=Edit({}) if best is None else self.bench.edit(best.method),
            reference=self._reference(asked),
            ignored=before.ignored,
        )

    def _candidate(self, method: str, before: Losses, tests: int) -> Candidate:
        try:
            edit = self.bench.edit(method)
            after = self._losses(edit, method)
        except VarshiftError as error:
            return Candidate(method, False, None, None, math.nan, (), str(error))
        trial = tried(before, after)
        return Candidate(
            method=method,
            accepted=trial.passes(self.level, tests),
            score=score_of(after),
            trial=trial,
            seconds=self.bench.seconds[method],
            tensors=tuple(sorted(edit.values)),
            reason=why_refused(trial, self.level, tests),
            notes=self.bench.notes.get(method, ()),
        )

    def _losses(self, edit: Edit, name: str) -> Losses:
        """What every held-out sample scores under an edit, in one clean pass."""
        model, parts = self.bench.model, []
        targets = [None] * len(self.split.held_out) if self.judge.labelled else self._teach()
        self.meter.say(f"judging {name}")
        with borrowed(model), edit.standing_in(model):
            set_training(off_flags(model))
            seed_all(self.seed)  # noise that stays on in eval mode is then the same for all
            for batch, target in zip(self.split.held_out, targets, strict=True):
                out = call(model, batch, self.bench.forward)
                parts.append(self.judge.losses(out, batch, target))
                self.meter(1)
        return joined(parts)

    def _teach(self) -> list[Tensor]:
        """The noise-averaged predictions of the held-out batches."""
        if self._taught is None:
            self.meter.say(AVERAGING)
            # Draws of its own, not those of calibration.
            self._taught = taught(
                self.bench.teacher, self.split.held_out, self.meter, seed=self.seed + 1
            )
        return self._taught

    def _reference(self, asked: tuple[str, ...]) -> Score | None:
        """What the average of the noisy passes scores against the labels: the aim of distilling."""
        reader = self.judge.reader
        distils = any("distill" in method for method in asked) and not self.bench.teacher.refused
        if not self.judge.labelled or reader.loss or not distils:
            return None
        labels = [labels_of(batch.value) for batch in self.split.held_out]
        pairs = zip(self._teach(), labels, strict=True)
        return score_of(joined([reader.scored(taught_, label) for taught_, label in pairs]))

    def _passes(self, asked: tuple[str, ...]) -> int:
        """About how many batches have to pass, for the progress bar."""
        held, ours = len(self.split.held_out), len(self.split.calibration)
        steps = {part for method in asked for part in method.split("+")}
        fits = sum("distill" in method for method in asked)
        taught_ = (
            self.bench.teacher.passes * (held + ours) if fits or not self.judge.labelled else 0
        )
        return held * (1 + len(asked)) + ours * len(steps) + fits * cost(self.bench.held) + taught_


def refuse_few(judged: int, ignored: int = 0) -> None:
    """Raise DataError where so few held-out samples are left that no test is honest."""
    if judged >= FEWEST:
        return
    beside = f", not counting {ignored} whose label is to be ignored (-100)" if ignored else ""
    raise DataError(
        f"{judged} held-out sample{'' if judged == 1 else 's'}{beside}: too few to tell a repair "
        f"from chance; hold out at least {FEWEST}, by more data or a larger max_held_out"
    )
