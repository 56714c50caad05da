"""The repair everybody needs: exact noise-off statistics, written in place, undone on demand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine import (
    Data,
    Forward,
    OneByOne,
    Progress,
    Ranks,
    Settled,
    Undo,
    edit_of,
    session,
    settle,
    subject_of,
    unwrapped,
    write,
)
from varshift._engine.edits import named
from varshift._repair.before import Before
from varshift._repair.planning import Plan
from varshift.results import Recalibration

__all__ = ["Found", "recalibrate", "statistics_of"]


def recalibrate(
    model: nn.Module,
    data: Data,
    *,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
    include_frozen: bool = False,
    frozen: Iterable[str] = (),
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
            which norms are frozen: all are rewritten, but for those that `frozen` names.)
        frozen: paths of norms to leave alone whatever their flags, as "backbone.*".
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

        As a context manager it is undone at the end of the block (see `test_statistics`).
    """
    return recalibrated(
        [],
        model,
        data,
        forward=forward,
        device=device,
        max_samples=max_samples,
        include_frozen=include_frozen,
        frozen=frozen,
        sync=sync,
        max_bytes=max_bytes,
        progress=progress,
    )


def recalibrated(
    ways: list[Undo], model: nn.Module, data: Data, *, sync: bool | None, **options: Any
) -> Recalibration:
    """The same; `ways` takes in the way back before anything is written."""
    ranks = Ranks.of(sync)
    with ranks.together():
        found = statistics_of(model, data, sync=sync, **options)
        return _written(model, found, ranks, ways)


def _written(model: nn.Module, found: Found, ranks: Ranks, ways: list[Undo]) -> Recalibration:
    """Write on all ranks, or on none."""
    inner = unwrapped(model)
    edit = edit_of(inner, found.pairs())
    before = Before.on(
        ranks, model, found.plan.old(), {name: named(inner, name) for name in edit.values}
    )
    try:
        write(edit, inner, ways)
        undo = ways[0] = ways[0].back_to(before.values)
        result = found.plan.result(
            before.statistics, found.samples, found.batches, (*found.notes, *before.notes), undo
        )
        result = replace(result, subject=subject_of(inner))
        ranks.gather(None, "the write")
    except BaseException:
        for way in ways:
            way()
        raise
    return result


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


def statistics_of(
    model: nn.Module,
    data: Data,
    *,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
    include_frozen: bool = False,
    frozen: Iterable[str] = (),
    sync: bool | None = None,
    max_bytes: int | None = None,
    progress: Progress = None,
) -> Found:
    """What `recalibrate` would write; the model comes back as it was."""
    with session(
        model, forward=forward, device=device, progress=progress, sync=sync, train=False
    ) as run:
        plan = Plan.of(run.model, include_frozen, frozen)
        settled = settle(
            run,
            data,
            plan.settle,
            plan.wanted,
            plan.restart,
            max_samples=max_samples,
            max_bytes=max_bytes,
        )
        plan.leave_out(settled.by_batch)
        plan.keep(settled.own, run.by_hand)
        plan.refuse_nothing()
    notes = (*_notes(settled), *run.notes)
    return Found(plan, settled.samples, settled.batches, notes)


_ONE_BY_ONE = {
    OneByOne.KEEPS_STATE: (
        "the model keeps something from one forward to the next, so micro-batches could not run "
        "side by side; the statistics were found one norm at a time instead"
    ),
    OneByOne.SHARDED: (
        "the model's weights lie on several ranks, which forbids micro-batches side by side; the "
        "statistics were found one norm at a time instead"
    ),
    OneByOne.NO_GREENLETS: (
        "this Python has no greenlet package, without which micro-batches cannot run side by side; "
        "the statistics were found one norm at a time instead"
    ),
}


def _notes(settled: Settled) -> Iterator[str]:
    """What a reader of the result must know."""
    for path in settled.reused:
        yield f"{path}: runs more than once a pass; its inputs are pooled"
    if settled.noisy:
        yield (
            "noise stays on in eval mode (such as F.dropout without training=self.training): the "
            "statistics include it, as evaluation does"
        )
    if settled.one_by_one is not None:
        yield _ONE_BY_ONE[settled.one_by_one]
