"""What stands ready before the first repair is tried: the scorer, the teacher and the bench."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral
from typing import get_args

from varshift._engine import Batch, Session, cut, is_sharded
from varshift._repair.candidates import Bench
from varshift._repair.distillation import Into
from varshift._repair.likeness import unlike
from varshift._repair.scoring import Scorer, scorer_of
from varshift._repair.split import Split
from varshift._repair.teaching import Teacher, noisy_flags
from varshift._repair.trials import Meter, Trials, refuse_few
from varshift.errors import ModelError, UsageError
from varshift.judging import Judge

__all__ = ["an_example", "ready", "refuse_options", "refuse_sharded"]

_FEW = 8  # samples of the example that is traced
_APART = 1_000_003  # between the seeds of ranks, whose noise must not be the same


def ready(
    run: Session,
    split: Split,
    example: Batch,
    asked: tuple[str, ...],
    judge: Judge,
    *,
    into: Into,
    seed: int,
    include_frozen: bool,
    max_bytes: int | None,
) -> Trials:
    """All that trials need; evaluation and the noisy passes are known to return the same kind."""
    refuse_few(split.samples[1])
    scorer = scorer_of(run, split.held_out, judge)
    run.report.begin("making ready")
    teaching = not scorer.labelled or any("distill" in name for name in asked)
    with run.trying(seed=seed):  # all ranks see the same
        teacher = Teacher(run, noisy_flags(run, example), scorer.reader, judge.passes)
        teacher, said = _checked(teacher, example, scorer) if teaching else (teacher, None)
    meter = Meter(run.report)
    own_seed = seed + _APART * run.ranks.rank
    return Trials(
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


def refuse_options(into: str, seed: int) -> None:
    """Raise UsageError for what no repair can be done with."""
    if not isinstance(seed, Integral):
        raise UsageError(f"seed is {seed!r}; pass a whole number, so that the repair can be redone")
    if not -(2**63) <= seed < 2**63:
        raise UsageError(f"seed is {seed}; pass a number of at most 63 bits, as in 0")
    if into not in get_args(Into):
        raise UsageError(f"into is {into!r}; pass one of {', '.join(get_args(Into))}")


def refuse_sharded(run: Session) -> None:
    """Raise UsageError for a model of which a rank holds a part."""
    if is_sharded(run.model):
        raise UsageError(
            "the model's weights lie on several ranks (FSDP), where no other tensor can stand in "
            "for one of them: gather the model on one rank and repair it there, or use recalibrate"
        )


def an_example(run: Session, split: Split) -> Batch:
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
