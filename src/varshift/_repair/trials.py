"""One repair in progress: candidates made, judged on the same held-out samples, and chosen from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from varshift._counting import counted
from varshift._engine import Edit, Regime, Reporter, Session
from varshift._repair.candidates import AVERAGING, Bench
from varshift._repair.distillation import cost
from varshift._repair.gate import joined, score_of, tried
from varshift._repair.losses import Losses
from varshift._repair.reasons import why_refused
from varshift._repair.scoring import Scorer
from varshift._repair.split import Split
from varshift.errors import DataError, ModelError, VarshiftError
from varshift.results import Candidate, Score

__all__ = ["Meter", "Outcome", "Trials", "refuse_few"]

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
class Trials:
    """One repair in progress."""

    run: Session
    split: Split
    scorer: Scorer
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
        verdict = trial.verdict(self.level, tests)
        return Candidate(
            method=method,
            accepted=verdict == "passed",
            score=score_of(after),
            trial=trial,
            seconds=self.bench.seconds[method],
            tensors=tuple(sorted(edit.values)),
            reason=why_refused(trial, self.level, tests),
            notes=self.bench.notes.get(method, ()),
            verdict=verdict,
        )

    def _losses(self, edit: Edit, name: str) -> Losses:
        """What every held-out sample scores under an edit, in one clean pass."""
        batches = self.split.held_out

        def judged() -> Iterator[Losses]:
            targets = [None] * len(batches) if self.scorer.labelled else self._teach()
            self.meter.say(f"judging {name}")
            # Noise that stays on in eval mode is then the same for all.
            with self.run.trying(edit, seed=self.seed):
                for batch, target in zip(batches, targets, strict=True):
                    out = self.run.once(batch, Regime("evaluation"))
                    yield self.scorer.losses(out, batch, target)
                    self.meter(1)

        return self._of_all_ranks(judged)

    def _of_all_ranks(self, judged: Callable[[], Iterator[Losses]]) -> Losses:
        """The losses of all ranks in rank order; what one could not judge, none has judged."""
        parts: list[Losses] = []
        failed: VarshiftError | None = None
        try:
            parts.extend(judged())
        except VarshiftError as error:
            failed = error
        said = None if failed is None else str(failed)
        shares = self.run.ranks.gather((parts, said), "losses")
        if failed is not None:
            raise failed
        for rank, (_, message) in enumerate(shares):
            if message is not None:
                raise ModelError(f"rank {rank} could not judge: {message}")
        return joined([part for own, _ in shares for part in own])

    def _teach(self) -> list[Tensor]:
        """The noise-averaged predictions of the held-out batches."""
        if self._taught is None:
            self.meter.say(AVERAGING)
            # Draws of its own, not those of calibration.
            self._taught = self.bench.teacher.taught(
                self.split.held_out, self.meter, seed=self.seed + 1
            )
        return self._taught

    def _reference(self, asked: tuple[str, ...]) -> Score | None:
        """What the average of the noisy passes scores against the labels: the aim of distilling."""
        reader = self.scorer.reader
        distils = any("distill" in method for method in asked) and not self.bench.teacher.refused
        if not self.scorer.labelled or reader.loss or not distils:
            return None

        def judged() -> Iterator[Losses]:
            for taught, batch in zip(self._teach(), self.split.held_out, strict=True):
                yield reader.scored(taught, self.scorer.labels_of(batch))

        return score_of(self._of_all_ranks(judged))

    def _passes(self, asked: tuple[str, ...]) -> int:
        """About how many batches have to pass, for the progress bar."""
        held, ours = len(self.split.held_out), len(self.split.calibration)
        steps = {part for method in asked for part in method.split("+")}
        fits = sum("distill" in method for method in asked)
        teaches = fits or not self.scorer.labelled
        taught = self.bench.teacher.passes * (held + ours) if teaches else 0
        return held * (1 + len(asked)) + ours * len(steps) + fits * cost(self.bench.held) + taught


def refuse_few(judged: int, ignored: int = 0) -> None:
    """Raise DataError where so few held-out samples are left that no test is honest."""
    if judged >= FEWEST:
        return
    beside = f", not counting {ignored} whose label is to be ignored (-100)" if ignored else ""
    raise DataError(
        f"{counted(judged, 'held-out sample')}{beside}: too few to tell a repair "
        f"from chance; hold out at least {FEWEST}, by more data or a larger max_held_out"
    )
