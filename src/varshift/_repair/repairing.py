"""The verb: try the repairs, measure each on held-out samples, keep the best or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral
from typing import Unpack, get_args

import torch
from torch import nn

from varshift._engine import (
    Batch,
    Data,
    Forward,
    Progress,
    Regime,
    Session,
    Undo,
    cut,
    is_sharded,
    session,
    write,
)
from varshift._engine.edits import named
from varshift._repair.candidates import Bench, parsed, wild
from varshift._repair.distillation import Into
from varshift._repair.likeness import unlike
from varshift._repair.reasons import nothing_to_do, why_kept, why_none
from varshift._repair.scoring import Scorer, scorer_of
from varshift._repair.split import Split, split_data
from varshift._repair.teaching import Teacher, noisy_flags
from varshift._repair.trials import Meter, Outcome, Trials, refuse_few
from varshift.errors import ModelError, UsageError
from varshift.judging import Judge, Options
from varshift.results import Repair, Rewrote, Structure
from varshift.results.structure import alone

__all__ = ["repair"]

_FEW = 8  # samples of the example that is traced
_APART = 1_000_003  # between the seeds of ranks, whose noise must not be the same


def repair(
    model: nn.Module,
    data: Data,
    *,
    method: str | Sequence[str] = "auto",
    held_out: Data | None = None,
    judge: Judge | None = None,
    into: Into = "affine",
    max_samples: int = 2048,
    include_frozen: bool = False,
    max_bytes: int | None = None,
    seed: int = 0,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    progress: Progress = None,
    **judging: Unpack[Options],
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
        judge: a `varshift.judging.Judge`: by what, on how many samples and how strictly. By default
            labels where there are any, 8 noisy passes, 5 %, 4,096 held-out samples.
        into: where distill puts its result: "affine" (weight and bias of the norms) or
            "statistics" (running mean and variance, so that no parameter changes).
        max_samples: calibration samples at most, on each rank.
        include_frozen: also change norms that are in eval mode inside a model in train mode.
        max_bytes: how much recalibration may grow this process; by default 80 % of the free
            memory. It then takes as many samples as fit.
        seed: of the split, the noisy passes and the fit.
        forward: `lambda model, batch: …` for batches of any other form.
        device: where to put batches; by default where the model is.
        progress: True for a bar, or a callable `(passes done, passes in all)`.
        **judging: the fields of `Judge` one by one, as before 0.2; not beside `judge`.

    Returns:
        A `Repair`: `accepted`, `method`, `reason`, `before`, `after`, `candidates`, and `undo()`.

    Raises:
        UsageError: no such method, an argument out of range, `judge` beside one of its fields, or a
            model whose weights lie on several ranks (FSDP; `recalibrate` can do those).
        ModelError, DataError: as in `measure`; labels that do not fit; held-out samples that are
            calibration samples, or fewer than 20; noisy passes that return something else than
            evaluation. The model is then what it was.

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
    asked = parsed(method)
    judge = Judge.of(judge, judging)
    _refuse(into, seed)
    with session(model, forward=forward, device=device, progress=progress) as run:
        finish = _tried(
            run,
            data,
            held_out,
            asked,
            judge,
            max_samples=max_samples,
            into=into,
            seed=seed,
            include_frozen=include_frozen,
            max_bytes=max_bytes,
        )
    repaired: Repair = run.noted(finish())
    return repaired


def _tried(
    run: Session,
    data: Data,
    held_out: Data | None,
    asked: tuple[str, ...],
    judge: Judge,
    *,
    max_samples: int,
    into: Into,
    seed: int,
    include_frozen: bool,
    max_bytes: int | None,
) -> Callable[[], Repair]:
    """Try everything; what comes back writes the best, once the model has been given back."""
    _refuse_sharded(run)
    split = split_data(
        run,
        data,
        held_out,
        max_samples=max_samples,
        max_held_out=judge.max_held_out,
        seed=seed,
    )
    example = _example(run, split)
    run.report.begin("tracing modules")
    with run.trying():
        run.run([example], {"traced": Regime("training", structure=True)})
    if not (run.structure.routes or wild(run.structure)):
        return partial(_untouched, run.structure, split)
    refuse_few(split.samples[1])
    scorer = scorer_of(run, split.held_out, judge)
    run.report.begin("making ready")
    teaching = not scorer.labelled or any("distill" in name for name in asked)
    with run.trying(seed=seed):  # all ranks see the same
        teacher = Teacher(run, noisy_flags(run, example), scorer.reader, judge.passes)
        teacher, said = _checked(teacher, example, scorer) if teaching else (teacher, None)
    meter = Meter(run.report)
    own_seed = seed + _APART * run.ranks.rank
    trials = Trials(
        run=run,
        split=split,
        scorer=scorer,
        level=judge.level,
        seed=own_seed,
        meter=meter,
        unlike=said,
        bench=Bench(
            run=run,
            held=split.calibration,
            example=example,
            include_frozen=include_frozen,
            teacher=teacher,
            into=into,
            seed=own_seed,
            max_bytes=max_bytes,
            step=meter,
            say=run.report.say,
        ),
    )
    outcome = trials.outcome(asked)
    return partial(_kept, run.model, trials, outcome)


def _refuse(into: str, seed: int) -> None:
    if not isinstance(seed, Integral):
        raise UsageError(f"seed is {seed!r}; pass a whole number, so that the repair can be redone")
    if into not in get_args(Into):
        raise UsageError(f"into is {into!r}; pass one of {', '.join(get_args(Into))}")


def _refuse_sharded(run: Session) -> None:
    if is_sharded(run.model):
        raise UsageError(
            "the model's weights lie on several ranks (FSDP), where no other tensor can stand in "
            "for one of them: gather the model on one rank and repair it there, or use recalibrate"
        )


def _example(run: Session, split: Split) -> Batch:
    """A few calibration samples, the same on all ranks."""
    largest = max(split.calibration, key=lambda batch: batch.samples, default=None)
    own = None if largest is None else cut(largest, _FEW)
    if not run.ranks.several:
        assert own is not None
        return own
    values = run.ranks.gather(None if own is None else own.value, "an example")
    return run.example(next(value for value in values if value is not None))


def _checked(teacher: Teacher, example: Batch, scorer: Scorer) -> tuple[Teacher, str | None]:
    """The teacher, silenced where it reads another output than evaluation's, and a note on that.

    Raises ModelError instead where its average is all there is to judge by.
    """
    try:
        said = unlike(teacher.run, teacher.flags, example, teacher.reader)
    except ModelError as error:
        if not scorer.labelled:
            raise
        return replace(teacher, refused=str(error)), None
    if said is not None and not scorer.labelled:
        raise ModelError(f"{said}; else pass labels, or loss=, to judge by")
    return teacher, said


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
        structure=alone(structure),
        notes=structure.notes,
    )


def _kept(model: nn.Module, trials: Trials, outcome: Outcome) -> Repair:
    """Write the best candidate, now that the model has been given back, and say what was done."""
    best = outcome.best
    undo = None if best is None else write(outcome.edit, model)
    try:
        return _said(model, trials, outcome, undo)
    except BaseException:  # an interrupt between the write and the return: nobody could undo it
        if undo is not None:
            undo()
        raise


def _said(model: nn.Module, trials: Trials, outcome: Outcome, undo: Undo | None) -> Repair:
    best, before, measure = outcome.best, outcome.before, trials.scorer.measure
    written = {} if undo is None else dict(undo)
    changes = {
        name: Rewrote(old, named(model, name).detach().clone()) for name, old in written.items()
    }
    ours, theirs = trials.split.samples
    structure = trials.run.structure
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
        judged_by=trials.scorer.by,
        calibration=ours,
        held_out=theirs,
        split_seed=trials.split.seed,
        structure=alone(structure),
        notes=tuple(dict.fromkeys([*structure.notes, *_notes(trials, outcome)])),
        _undo=undo,
    )


def _notes(trials: Trials, outcome: Outcome) -> Iterator[str]:
    if trials.split.shared:
        yield (
            f"{trials.split.shared} held-out samples equal a calibration sample: the data holds "
            "duplicates, so the held-out figures may be too good"
        )
    if trials.scorer.reader.guessed:
        yield trials.scorer.reader.guessed
    if trials.unlike:
        yield trials.unlike
    if outcome.ignored:
        yield f"{outcome.ignored} held-out samples have a label to be ignored (-100): left out"
    if outcome.best is not None:
        yield from outcome.best.notes
