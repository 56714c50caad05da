"""The verb: try the repairs, measure each on held-out samples, keep the best or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from numbers import Integral
from typing import get_args

import torch
import torch.distributed as dist
from torch import nn

from varshift._engine.batches import Batch, Data, Forward, cut
from varshift._engine.borrow.model import borrowed, training_flags, unwrapped
from varshift._engine.progress import Progress, reporter
from varshift._inspect.inspecting import inspect
from varshift._repair.candidates import Bench, parsed, wild
from varshift._repair.distillation import Into
from varshift._repair.edits import Undo, named, write
from varshift._repair.judging import Judge, judge_of
from varshift._repair.kinds import Kind, refuse_kind
from varshift._repair.likeness import unlike
from varshift._repair.losses import Loss
from varshift._repair.predictions import Output
from varshift._repair.reasons import nothing_to_do, why_kept, why_none
from varshift._repair.running import Meter, Outcome, Run, refuse_few
from varshift._repair.split import Split, samples_of, split_data
from varshift._repair.teaching import Teacher, noisy_flags
from varshift.errors import ModelError, UsageError
from varshift.results.repair import Repair, Rewrote
from varshift.results.structure import Structure, alone

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
        loss: `lambda out, batch: …`, one loss per sample, in place of cross entropy (classes,
            shares of classes, zeros and ones) or squared error (other floating labels).
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
    _refuse(passes, level, into, seed)
    if kind is not None:
        refuse_kind(kind)
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
            report=report,
        )
        example = cut(max(split.calibration, key=lambda batch: batch.samples), _FEW)
        structure = inspect(model, example.value, forward=forward, progress=report.inner)
        if not (structure.routes or wild(structure)):
            return _untouched(structure, split)
        held = samples_of(split.held_out)
        refuse_few(held)
        judge = judge_of(
            *(inner, split.held_out),
            labels=labels,
            forward=forward,
            kind=kind,
            output=output,
            loss=loss,
        )
        report.begin("making ready")
        meter = Meter(report)
        flags = noisy_flags(inner, training_flags(inner), structure, example, forward)
        teacher = Teacher(inner, flags, judge.reader, forward, passes)
        teaching = not judge.labelled or any("distill" in name for name in asked)
        teacher, said = _checked(teacher, example, judge) if teaching else (teacher, None)
        run = Run(
            split=split,
            judge=judge,
            level=level,
            seed=seed,
            meter=meter,
            unlike=said,
            bench=Bench(
                model=inner,
                held=split.calibration,
                example=example,
                structure=structure,
                include_frozen=include_frozen,
                reader=judge.reader,
                teacher=teacher,
                forward=forward,
                into=into,
                seed=seed,
                max_bytes=max_bytes,
                step=meter,
                say=report.say,
            ),
        )
        outcome = run.outcome(asked)
    return _kept(unwrapped(model), run, outcome)


def _refuse(passes: int, level: float, into: str, seed: int) -> None:
    if not isinstance(passes, Integral) or passes < 2:
        raise UsageError(f"passes is {passes!r}; an average needs at least 2, a whole number")
    if not isinstance(seed, Integral):
        raise UsageError(f"seed is {seed!r}; pass a whole number, so that the repair can be redone")
    if not 0 < level < 1:
        raise UsageError(f"level is {level}; pass a chance between 0 and 1, such as 0.05")
    if into not in get_args(Into):
        raise UsageError(f"into is {into!r}; pass one of {', '.join(get_args(Into))}")
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        raise UsageError(
            "repair does not run on several ranks: each would decide for itself. Repair on one "
            "rank and load the result on the others, or use recalibrate, which merges over ranks"
        )


def _checked(teacher: Teacher, example: Batch, judge: Judge) -> tuple[Teacher, str | None]:
    """The teacher, silenced where it reads another output than evaluation's, and a note on that.

    Raises ModelError instead where its average is all there is to judge by.
    """
    try:
        said = unlike(teacher.model, teacher.flags, example, teacher.forward, teacher.reader)
    except ModelError as error:
        if not judge.labelled:
            raise
        return replace(teacher, refused=str(error)), None
    if said is not None and not judge.labelled:
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


def _kept(model: nn.Module, run: Run, outcome: Outcome) -> Repair:
    """Write the best candidate, now that the model has been given back, and say what was done."""
    best = outcome.best
    undo = None if best is None else write(outcome.edit, model)
    try:
        return _said(model, run, outcome, undo)
    except BaseException:  # an interrupt between the write and the return: nobody could undo it
        if undo is not None:
            undo()
        raise


def _said(model: nn.Module, run: Run, outcome: Outcome, undo: Undo | None) -> Repair:
    best, before, measure = outcome.best, outcome.before, run.judge.measure
    written = {} if undo is None else dict(undo)
    changes = {
        name: Rewrote(old, named(model, name).detach().clone()) for name, old in written.items()
    }
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
        structure=alone(run.bench.structure),
        notes=tuple(dict.fromkeys([*run.bench.structure.notes, *_notes(run, outcome)])),
        _undo=undo,
    )


def _notes(run: Run, outcome: Outcome) -> Iterator[str]:
    if run.split.shared:
        yield (
            f"{run.split.shared} held-out samples equal a calibration sample: the data holds "
            "duplicates, so the held-out figures may be too good"
        )
    if run.judge.reader.guessed:
        yield run.judge.reader.guessed
    if run.unlike:
        yield run.unlike
    if outcome.ignored:
        yield f"{outcome.ignored} held-out samples have a label to be ignored (-100): left out"
    if outcome.best is not None:
        yield from outcome.best.notes
