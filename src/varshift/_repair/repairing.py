"""The verb: try the repairs, measure each on held-out samples, keep the best or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Unpack

import torch
from torch import nn

from varshift._engine import Data, Forward, Progress, Regime, Session, session
from varshift._repair.candidates import parsed, wild
from varshift._repair.distillation import Into
from varshift._repair.readying import an_example, ready, refuse_options, refuse_sharded
from varshift._repair.split import split_data
from varshift._repair.telling import kept, untouched
from varshift.judging import Judge, Options
from varshift.results import Repair

__all__ = ["repair"]


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
        data: batches to repair with; forms as in `measure`. An item named "labels", "target",
            "y" …, else the second of a tuple or a dataclass, counts as labels, unless the model
            predicts from it: `r.labels_from` says which.
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
    refuse_options(into, seed)
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
    refuse_sharded(run)
    split = split_data(
        run,
        data,
        held_out,
        max_samples=max_samples,
        max_held_out=judge.max_held_out,
        seed=seed,
    )
    example = an_example(run, split)
    run.report.begin("tracing modules")
    with run.trying():
        run.run([example], {"traced": Regime("training", structure=True)})
    if not (run.structure.routes or wild(run.structure)):
        return partial(untouched, run.structure, split)
    trials = ready(
        run,
        split,
        example,
        asked,
        judge,
        into=into,
        seed=seed,
        include_frozen=include_frozen,
        max_bytes=max_bytes,
    )
    return partial(kept, run.model, trials, trials.outcome(asked))
