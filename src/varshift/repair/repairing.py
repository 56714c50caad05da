"""The verb: try the repairs, measure each on held-out samples, keep the best or nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

import torch
import torch.distributed as dist
from torch import Tensor, nn

from varshift.errors import UsageError, VarshiftError
from varshift.lending import (
    Data,
    Forward,
    Progress,
    borrowed,
    call,
    cut,
    reporter,
    set_training,
    training_flags,
    unwrapped,
)
from varshift.repair.candidates import Bench, parsed, wild
from varshift.repair.distillation import Into, cost
from varshift.repair.edits import Edit, named, write
from varshift.repair.gate import Score, joined, tried
from varshift.repair.judging import Judge, judge_of
from varshift.repair.predictions import Kind, Loss, Losses, Output, labels_of
from varshift.repair.reasons import nothing_to_do, why_kept, why_none, why_refused
from varshift.repair.repaired import Candidate, Repair, Rewrote
from varshift.repair.split import Split, split_data
from varshift.repair.teaching import Teacher, noisy_flags, off_flags, taught
from varshift.structure import Structure, inspect

__all__ = ["repair"]

_FEW = 8  # samples of the example that is traced


def repair(
    model: nn.Module,
    data: Data,
    *,
    method: str | Sequence[str] = "auto",
    held_out: Data | None = None,
    labels: bool = True,
    loss: Loss | None = None,
    output: Output | None = None,
    kind: Kind | None = None,
    into: Into = "affine",
    passes: int = 8,
    level: float = 0.05,
    max_samples: int = 2048,
    max_held_out: int = 4096,
    include_frozen: bool = False,
    max_bytes: int | None = None,
    seed: int = 0,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    progress: Progress = None,
) -> Repair:
    """Repair a trained model whose norms are shifted by noise, if that is measured to help.

    Each repair is found on calibration samples and judged on held-out ones, paired over samples:
    by their loss where batches carry labels, else by the divergence from the noise-averaged
    prediction. The best of those that are better beyond chance is written in place; the rest leave
    no trace. If none helps, or no noise reaches a norm, the model stays bit for bit what it was
    and `r.reason` says why.

    Args:
        model: any module with BatchNorm layers; lent as for training or in eval mode.
        data: batches to repair with; forms as in `measure`. The second item of a tuple, or a
            dict's "labels", counts as labels.
        method: "auto" (recalibrate, correct, distill); or the name of one of these or of
            "adjust-once" and "adjust-live" (the paper's own), or several joined by "+", to be done
            one after the other; or a list of such names, to be tried.
        held_out: batches to judge by. By default `data` is split, seeded; the two never overlap.
        labels: False to judge without labels though there are some.
        loss: `lambda out, batch: …`, one loss per sample, in place of cross entropy (integer
            labels) or squared error (floating ones).
        output: `lambda out: …`, where the predictions are in what the model returns.
        kind: "logits", "probabilities" or "values"; by default read off the first output.
        into: where distill puts its result: "affine" (weight and bias of the norms) or
            "statistics" (running mean and variance, so that no parameter changes).
        passes: noisy passes that the noise-averaged prediction averages.
        level: chance of accepting a repair that does not help, over all candidates together.
        max_samples: calibration samples at most.
        max_held_out: held-out samples at most.
        include_frozen: also change norms that are in eval mode inside a model in train mode.
        max_bytes: how much recalibration may grow this process; by default 80 % of the free
            memory. It then takes as many samples as fit.
        seed: of the split, the noisy passes and the fit.
        forward: `lambda model, batch: …` for batches of any other form.
        device: where to put batches; by default where the model is.
        progress: True for a bar, or a callable `(passes done, passes in all)`.

    Returns:
        A `Repair`: `accepted`, `method`, `reason`, `before`, `after`, `candidates`, and `undo()`.

    Raises:
        UsageError: no such method, or a process group of several ranks (use `recalibrate`).
        ModelError, DataError: as in `measure`; labels that do not fit; held-out samples that are
            calibration samples. The model is then what it was.

    Example:
        >>> import torch, varshift as vs
        >>> _ = torch.manual_seed(0)
        >>> norm = torch.nn.BatchNorm1d(8, momentum=None)
        >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), norm, torch.nn.Linear(8, 3))
        >>> data = [torch.randn(64, 8) for _ in range(40)]
        >>> _ = [model(batch) for batch in data]
        >>> r = vs.repair(model, data)     # without labels
        >>> r.accepted, r.after.loss < r.before.loss
        (True, True)
        >>> r.undo()
    """
    asked = parsed(method if isinstance(method, str) else tuple(method))
    _refuse(passes, level, into)
    with borrowed(model) as inner, reporter(progress) as report:
        if not inner.training:
            inner.train()
        split = split_data(
            *(inner, data, held_out),
            forward=forward,
            device=device,
            max_samples=max_samples,
            max_held_out=max_held_out,
            seed=seed,
        )
        example = cut(max(split.calibration, key=lambda batch: batch.samples), _FEW)
        structure = inspect(model, example.value, forward=forward)
        if not (structure.routes or wild(structure)):
            return _untouched(structure, split)
        judge = judge_of(
            *(inner, split.held_out),
            labels=labels,
            forward=forward,
            kind=kind,
            output=output,
            loss=loss,
        )
        lent = training_flags(inner)
        flags = noisy_flags(inner, lent, structure, example, forward)
        set_training(lent)
        run = _Run(
            split=split,
            judge=judge,
            level=level,
            seed=seed,
            report=report,
            bench=Bench(
                model=inner,
                held=split.calibration,
                example=example,
                structure=structure,
                include_frozen=include_frozen,
                reader=judge.reader,
                teacher=Teacher(inner, flags, judge.reader, forward, passes),
                forward=forward,
                into=into,
                seed=seed,
                max_bytes=max_bytes,
            ),
        )
        outcome = run.outcome(asked)
    return _kept(unwrapped(model), run, outcome)


def _refuse(passes: int, level: float, into: str) -> None:
    if passes < 2:
        raise UsageError(f"passes is {passes}; an average needs at least 2")
    if not 0 < level < 1:
        raise UsageError(f"level is {level}; pass a chance between 0 and 1, such as 0.05")
    if into not in get_args(Into):
        raise UsageError(f"into is {into!r}; pass one of {', '.join(get_args(Into))}")
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        raise UsageError(
            "repair does not run on several ranks: each would decide for itself. Repair on one "
            "rank and load the result on the others, or use recalibrate, which merges over ranks"
        )


@dataclass(frozen=True, eq=False)
class _Outcome:
    """What came of the candidates."""

    before: Score
    candidates: list[Candidate]
    best: Candidate | None
    edit: Edit
    reference: Score | None


@dataclass
class _Run:
    """One repair in progress."""

    split: Split
    judge: Judge
    bench: Bench
    level: float
    seed: int
    report: Callable[[int, int | None], None]
    _done: int = 0
    _planned: int = 0
    _taught: list[Tensor] | None = None

    def outcome(self, asked: tuple[str, ...]) -> _Outcome:
        """Make every candidate, put it to the test, and choose."""
        self.bench.step = self._step
        self._planned = self._passes(asked)
        before = self._losses(Edit({}))
        candidates = [self._candidate(method, before, len(asked)) for method in asked]
        passed = [c for c in candidates if c.accepted and c.score is not None]
        best = min(passed, key=lambda c: c.score.loss if c.score else 0.0, default=None)
        return _Outcome(
            before=Score.of(before),
            candidates=candidates,
            best=best,
            edit=Edit({}) if best is None else self.bench.edit(best.method),
            reference=self._reference(asked),
        )

    def _candidate(self, method: str, before: Losses, tests: int) -> Candidate:
        try:
            edit = self.bench.edit(method)
            after = self._losses(edit)
        except VarshiftError as error:
            return Candidate(method, False, None, None, math.nan, (), str(error))
        trial = tried(before, after)
        return Candidate(
            method=method,
            accepted=trial.passes(self.level, tests),
            score=Score.of(after),
            trial=trial,
            seconds=self.bench.seconds[method],
            tensors=tuple(sorted(edit.values)),
            reason=why_refused(trial, self.level, tests),
            notes=self.bench.notes.get(method, ()),
        )

    def _losses(self, edit: Edit) -> Losses:
        """What every held-out sample scores under an edit, in one clean pass."""
        model, parts = self.bench.model, []
        targets = [None] * len(self.split.held_out) if self.judge.labelled else self._teach()
        with borrowed(model), edit.standing_in(model):
            set_training(off_flags(model))
            for batch, target in zip(self.split.held_out, targets, strict=True):
                out = call(model, batch, self.bench.forward)
                parts.append(self.judge.losses(out, batch, target))
                self._step(1)
        return joined(parts)

    def _teach(self) -> list[Tensor]:
        """The noise-averaged predictions of the held-out batches."""
        if self._taught is None:
            with borrowed(self.bench.model):
                torch.manual_seed(self.seed + 1)  # draws of its own, not those of calibration
                self._taught = taught(self.bench.teacher, self.split.held_out, self._step)
        return self._taught

    def _reference(self, asked: tuple[str, ...]) -> Score | None:
        """What the average of the noisy passes scores against the labels: the aim of distilling."""
        reader = self.judge.reader
        if not self.judge.labelled or reader.loss or not any("distill" in m for m in asked):
            return None
        labels = [labels_of(batch.value) for batch in self.split.held_out]
        pairs = zip(self._teach(), labels, strict=True)
        return Score.of(joined([reader.scored(taught_, label) for taught_, label in pairs]))

    def _passes(self, asked: tuple[str, ...]) -> int:
        """About how many batches have to pass, for the progress bar."""
        held, ours = len(self.split.held_out), len(self.split.calibration)
        steps = {part for method in asked for part in method.split("+")}
        fits = sum("distill" in method for method in asked)
        taught_ = (
            self.bench.teacher.passes * (held + ours) if fits or not self.judge.labelled else 0
        )
        return held * (1 + len(asked)) + ours * len(steps) + fits * cost(self.bench.held) + taught_

    def _step(self, passes: int) -> None:
        self._done += passes
        self.report(self._done, max(self._planned, self._done))


def _untouched(structure: Structure, split: Split) -> Repair:
    active = sum(noise.active for noise in structure.noises)
    return Repair(
        accepted=False,
        method=None,
        reason=nothing_to_do(active, len(structure.norms)),
        before=None,
        after=None,
        reference=None,
        candidates=(),
        changes={},
        judged_by="nothing",
        calibration=0,
        held_out=0,
        split_seed=split.seed,
        structure=structure,
        notes=structure.notes,
    )


def _kept(model: nn.Module, run: _Run, outcome: _Outcome) -> Repair:
    """Write the best candidate, now that the model has been given back, and say what was done."""
    best, before, measure = outcome.best, outcome.before, run.judge.measure
    undo = None if best is None else write(outcome.edit, model)
    changes = (
        {}
        if undo is None
        else {name: Rewrote(old, named(model, name).detach().clone()) for name, old in undo}
    )
    ours, theirs = run.split.counts
    return Repair(
        accepted=best is not None,
        method=None if best is None else best.method,
        reason=(
            why_none(outcome.candidates, before, measure)
            if best is None
            else why_kept(best, before, len(outcome.candidates), measure)
        ),
        before=before,
        after=before if best is None else best.score,
        reference=outcome.reference,
        candidates=tuple(outcome.candidates),
        changes=changes,
        judged_by=run.judge.by,
        calibration=ours,
        held_out=theirs,
        split_seed=run.split.seed,
        structure=run.bench.structure,
        notes=tuple(dict.fromkeys([*run.bench.structure.notes, *_notes(run, best)])),
        _undo=undo,
    )


def _notes(run: _Run, best: Candidate | None) -> Iterator[str]:
    if run.split.shared:
        yield (
            f"{run.split.shared} held-out samples equal a calibration sample: the data holds "
            "duplicates, so the held-out figures may be too good"
        )
    if run.judge.guessed:
        yield run.judge.guessed
    if best is not None:
        yield from best.notes
