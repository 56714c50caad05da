"""The repair everybody needs: exact noise-off statistics, written in place, undone on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from varshift._engine.batches import Data, Forward, batches, call
from varshift._engine.borrow.model import borrowed, set_training, training_flags, unwrapped
from varshift._engine.borrow.rng import drawn_from, rng_state
from varshift._engine.edits import edit_of, write
from varshift._engine.lockstep import LockStep, lock_step
from varshift._engine.normcall import NormCall
from varshift._engine.progress import Progress, reporter
from varshift._engine.ranks import Ranks
from varshift._engine.record.moments import channel_moments
from varshift._engine.subject import subject_of
from varshift._engine.tap import Tap
from varshift._repair.planning import Plan, Stream
from varshift.errors import ModelError
from varshift.results.recalibration import Recalibration
from varshift.theory.moments import Moments

__all__ = ["Found", "recalibrate", "statistics_of"]


def recalibrate(
    model: nn.Module,
    data: Data,
    *,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
    include_frozen: bool = False,
    sync: bool | None = None,
    max_bytes: int | None = None,
    progress: Progress = None,
) -> Recalibration:
    """Replace running statistics by the exact ones of the data with all noise off.

    One forward pass in evaluation mode, all micro-batches in lock step: each norm's statistics are
    those of its input when every norm before it already uses its new ones. The result does not
    depend on how the samples are batched or ordered. `running_var` is the unbiased variance over
    all values, the estimator torch stores; a norm's momentum and `num_batches_tracked` stay.

    All or nothing: if anything raises, the model is bit for bit what it was. All activations that
    wait at a norm are held at once: `max_samples` bounds them.

    Args:
        model: any module with BatchNorm layers; statistics are written in place.
        data: an iterable of batches, or a callable that returns one (see `measure`).
        forward: `lambda model, batch: …` for batches of any other form.
        device: where to put batches; by default where the model is.
        max_samples: use so many samples; 1,000 to 10,000 suffice. [wu2021rethinking]
        include_frozen: also rewrite norms that are in eval mode inside a model lent in train
            mode. By default these stay as they are. (A model lent in eval mode says nothing about
            which norms are frozen: all are rewritten.)
        sync: merge over the ranks of a process group; by default whenever there is one. Every
            rank must then call, each with its own data, and ends with the same bits.
        max_bytes: how much this process may grow; by default 80 % of the free memory.
        progress: True for a bar, or a callable `(norms done, norms in all)`.

    Returns:
        A `Recalibration`: `sites` (before and after), `skipped` with reasons, and `undo()`. A norm
        that runs more than once a pass gets the moments of all its inputs pooled, each run
        normalised by what was known when it ran.

    Raises:
        ModelError: no BatchNorm, the model raised or overflowed, or memory does not suffice.
        DataError: no batches, an unknown form, NaN or infinity, or too few samples for a variance.

    Example:
        >>> import torch, varshift as vs
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(3))
        >>> x = torch.randn(64, 3)
        >>> r = vs.recalibrate(model, x.split(10))
        >>> torch.allclose(model[1].running_var, x.var(0))
        True
        >>> r.undo()
        >>> model[1].running_var
        tensor([1., 1., 1.])
    """
    found = statistics_of(
        model,
        data,
        forward=forward,
        device=device,
        max_samples=max_samples,
        include_frozen=include_frozen,
        sync=sync,
        max_bytes=max_bytes,
        progress=progress,
    )
    inner = unwrapped(model)
    result = found.result(write(edit_of(inner, found.pairs()), inner))
    return replace(result, subject=subject_of(inner))


@dataclass(frozen=True, eq=False)
class Found:
    """Exact statistics, found and not yet written."""

    plan: Plan
    samples: int
    batches: int
    notes: tuple[str, ...]

    def pairs(self) -> list[tuple[Tensor, Tensor]]:
        """Each tensor of the model that is to be written, and its new value in float64."""
        return self.plan.pairs()

    def result(self, undo: Callable[[], None]) -> Recalibration:
        """The finished record."""
        return self.plan.result(self.samples, self.batches, self.notes, undo)


def statistics_of(
    model: nn.Module,
    data: Data,
    *,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
    include_frozen: bool = False,
    sync: bool | None = None,
    max_bytes: int | None = None,
    progress: Progress = None,
) -> Found:
    """What `recalibrate` would write; the model comes back as it was."""
    with borrowed(model) as inner, reporter(progress) as report:
        plan = Plan.of(inner, include_frozen)
        ranks = Ranks.of(inner, sync)
        set_training([(module, False) for module, _ in training_flags(inner)])
        taken = batches(data, inner, forward=forward, device=device, max_samples=max_samples)
        stream = Stream(report.reading(taken, data, max_samples, then="recalibrating"))
        before = rng_state()
        try:
            run = lock_step(
                inner,
                stream,
                plan.settle,
                plan.wanted,
                forward=forward,
                ranks=ranks,
                max_bytes=max_bytes,
                report=report,
            )
        except ModelError as error:
            notes = [plan.after_failure(inner, stream, forward, ranks, error)]
        else:
            noisy = bool(drawn_from(before, rng_state()))
            notes = plan.notes(run, noisy)
            if not (noisy or ranks.several or _repeats(run)):
                notes.append(plan.site_by_site(inner, stream, forward))
    plan.refuse_nothing()
    return Found(plan, stream.samples, len(stream.taken), tuple(notes))


def _repeats(run: LockStep) -> bool:
    """Whether the witness alone meets every norm with the moments it had in the crowd.

    A model that keeps something between modules or forwards (a cache, a feature list) would mix
    up micro-batches that run side by side. Where a norm runs twice, its first run used statistics
    that have changed since, so nothing can be compared.
    """
    if len(run.lanes) == 1 or any(times > 1 for times in run.runs.values()):
        return True
    alone: dict[str, Moments] = {}

    def keep(call: NormCall) -> None:
        alone.setdefault(call.path, channel_moments(call.x))

    with Tap(run.model, keep):
        call(run.model, run.witness, run.forward)
    return all(_alike(moments, alone.get(path)) for path, moments in run.seen.items())


def _alike(one: Moments, other: Moments | None) -> bool:
    if other is None or one.count != other.count:
        return False
    scale = (one.m2 / max(one.count, 1)).sqrt() + 1e-6 * one.mean.abs() + 1e-12
    near = (one.mean - other.mean).abs() <= 1e-3 * scale
    return bool(near.all()) and torch.allclose(one.m2, other.m2, rtol=1e-3, atol=1e-12)
