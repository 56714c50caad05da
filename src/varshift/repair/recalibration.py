"""The repair everybody needs: exact noise-off statistics, written in place, undone on demand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from varshift.errors import DataError, ModelError
from varshift.lending import (
    Batch,
    Data,
    Forward,
    Progress,
    batches,
    borrowed,
    call,
    drawn_from,
    reporter,
    rng_state,
    set_training,
    training_flags,
)
from varshift.measure import (
    LockStep,
    Ranks,
    Statistics,
    Tap,
    TappedSite,
    channel_moments,
    lock_step,
    site_by_site,
)
from varshift.repair.results import Change, Recalibration
from varshift.structure import norm_handles, untracked
from varshift.theory.moments import Moments

__all__ = ["recalibrate"]


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
    with borrowed(model) as inner, reporter(progress) as report:
        plan = _Plan.of(inner, include_frozen)
        ranks = Ranks.of(inner, sync)
        set_training([(module, False) for module, _ in training_flags(inner)])
        stream = _Stream(
            batches(data, inner, forward=forward, device=device, max_samples=max_samples)
        )
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
    plan.write()
    return plan.result(stream.samples, len(stream.taken), notes)


class _Stream:
    """Batches on their way into the pass, kept and counted."""

    def __init__(self, source: Iterator[Batch]) -> None:
        self._source = source
        self.taken: list[Batch] = []

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._source:
            self.taken.append(batch)
            yield batch

    def all(self) -> list[Batch]:
        """Every batch, those not yet taken included."""
        return [*self.taken, *self]

    @property
    def samples(self) -> int:
        return sum(batch.samples for batch in self.taken)


@dataclass(frozen=True, eq=False)
class _Kept:
    """The buffers of one site and what they held."""

    site: TappedSite
    mean: Tensor
    var: Tensor

    def restore(self) -> None:
        with torch.no_grad():
            self.site.running_mean.copy_(self.mean)
            self.site.running_var.copy_(self.var)


@dataclass(frozen=True, eq=False)
class _Written:
    """New statistics of one site, and the buffers they belong in."""

    site: TappedSite
    moments: Moments


class _Plan:
    """Which norms are rewritten, with what, and how to go back."""

    def __init__(self, skipped: dict[str, str], paths: list[str]) -> None:
        self.skipped = skipped
        self._paths = paths
        self._new: dict[str, _Written] = {}
        self._old: dict[str, _Kept] = {}

    @classmethod
    def of(cls, model: nn.Module, include_frozen: bool) -> _Plan:
        """Decide before anything runs."""
        skipped = dict(untracked(model))
        handles = norm_handles(model)
        for path, handle in handles.items():
            if model.training and not handle.module.training and not include_frozen:
                skipped[path] = "frozen (in eval mode inside a model in train mode)"
        return cls(skipped, [path for path, handle in handles.items() if handle.certain])

    def wanted(self, path: str) -> bool:
        """Whether this norm is to be rewritten."""
        return path not in self.skipped

    def settle(self, site: TappedSite, moments: Moments) -> None:
        """Let the norm use its new statistics for the rest of the pass."""
        if moments.count < 2:
            raise DataError(
                f"{site.path!r} saw one value per channel in all, which has no variance; pass at "
                "least 2 samples"
            )
        if site.path not in self._old:
            kept = _Kept(site, site.running_mean.clone(), site.running_var.clone())
            self._old[site.path] = kept
        self._new[site.path] = _Written(site, moments)
        _put(site, moments)

    def after_failure(
        self,
        model: nn.Module,
        stream: _Stream,
        forward: Forward | None,
        ranks: Ranks,
        error: ModelError,
    ) -> str:
        """If the model itself raised in the crowd, see whether its micro-batches only mixed up."""
        if error.__cause__ is None or len(stream.taken) < 2 or ranks.several:
            raise error
        try:
            return self.site_by_site(model, stream, forward)
        except ModelError:
            raise error from error.__cause__

    def site_by_site(self, model: nn.Module, stream: _Stream, forward: Forward | None) -> str:
        """The model keeps something between forwards: do it again, one batch at a time."""
        self.undo()
        self._new.clear()
        site_by_site(model, stream.all(), self.settle, self.wanted, forward=forward)
        return (
            "the model keeps something from one forward to the next, so micro-batches could not "
            "run side by side; the statistics were found one norm at a time instead"
        )

    def notes(self, run: LockStep, noisy: bool) -> list[str]:
        """What a reader of the result must know."""
        reused = [path for path, times in run.runs.items() if times > 1]
        notes = [f"{path}: runs more than once a pass; its inputs are pooled" for path in reused]
        if noisy:
            notes.append(
                "noise stays on in eval mode (such as F.dropout without training=self.training): "
                "the statistics include it, as evaluation does"
            )
        return notes

    def refuse_nothing(self) -> None:
        """Raise if there was no norm to rewrite, nor one to leave alone."""
        if not self._new and not self._paths:
            raise ModelError(_no_norm(self.skipped))

    def write(self) -> None:
        """Commit: the model has been given back, and now gets all new statistics or none."""
        try:
            for new in self._new.values():
                _put(new.site, new.moments)
        except BaseException:
            self.undo()
            raise

    def undo(self) -> None:
        """Put the old statistics back, bit for bit."""
        for kept in self._old.values():
            kept.restore()

    def result(self, samples: int, count: int, notes: list[str]) -> Recalibration:
        """The finished record."""
        unreached = {
            path: "no batch reached it"
            for path in self._paths
            if path not in self._new and path not in self.skipped
        }
        sites = {path: self._change(path) for path in self._new}
        return Recalibration(
            sites, self.skipped | unreached, samples, count, tuple(notes), self.undo
        )

    def _change(self, path: str) -> Change:
        new, old = self._new[path], self._old[path]
        tracked = getattr(new.site.owner, "num_batches_tracked", None)
        return Change(
            path,
            Statistics(
                old.mean.double().cpu(),
                old.var.double().cpu(),
                0 if tracked is None else int(tracked),
            ),
            Statistics(new.moments.mean, new.moments.var(), new.moments.count),
        )


def _put(site: TappedSite, moments: Moments) -> None:
    # Unbiased, as torch stores it; the tensors round to their own dtype.
    with torch.no_grad():
        site.running_mean.copy_(moments.mean)
        site.running_var.copy_(moments.var())


def _repeats(run: LockStep) -> bool:
    """Whether the witness alone meets every norm with the moments it had in the crowd.

    A model that keeps something between modules or forwards (a cache, a feature list) would mix
    up micro-batches that run side by side. Where a norm runs twice, its first run used statistics
    that have changed since, so nothing can be compared.
    """
    if len(run.lanes) == 1 or any(times > 1 for times in run.runs.values()):
        return True
    alone: dict[str, Moments] = {}

    def keep(site: TappedSite, x: Tensor) -> None:
        alone.setdefault(site.path, channel_moments(x))

    with Tap(run.model, keep):
        call(run.model, run.witness, run.forward)
    return all(_alike(moments, alone.get(path)) for path, moments in run.seen.items())


def _alike(one: Moments, other: Moments | None) -> bool:
    if other is None or one.count != other.count:
        return False
    scale = (one.m2 / max(one.count, 1)).sqrt() + 1e-6 * one.mean.abs() + 1e-12
    near = (one.mean - other.mean).abs() <= 1e-3 * scale
    return bool(near.all()) and torch.allclose(one.m2, other.m2, rtol=1e-3, atol=1e-12)


def _no_norm(skipped: dict[str, str]) -> str:
    text = "the model has no BatchNorm with running statistics: there is nothing to recalibrate"
    if skipped:
        path, reason = next(iter(skipped.items()))
        text += f" ({path}: {reason})"
    return text
