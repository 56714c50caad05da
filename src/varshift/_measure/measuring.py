"""The verb: the same batches with noise on and with noise off, and what each norm receives."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import nn

from varshift._counting import counted, verb
from varshift._engine import (
    Batch,
    Data,
    Forward,
    Passed,
    Progress,
    Recording,
    Regime,
    Session,
    batches_in_all,
    no_norm,
    notes_on_batch_statistics,
    session,
)
from varshift._measure.few import few_of, in_words
from varshift._measure.shift import site_of
from varshift.errors import ModelError
from varshift.results import Measurement, NoteKind, Route, Site, Structure

__all__ = ["measure", "measurement_of"]

_SHIFT = "variance between training and test"
_LITTLE = 0.01  # of a variance: no shift worth a word


def measure(
    model: nn.Module,
    data: Data,
    *,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
    progress: Progress = None,
) -> Measurement:
    """Measure how far the input of each norm shifts between training and test.

    Every batch passes twice: as in training (noise on, batch statistics; flags as lent, or after
    `model.train()` if lent in eval mode) and as in evaluation (all flags off, stored statistics).
    Nothing is learned or stored; the model comes back as it was. Memory does not grow with the
    number of samples.

    Args:
        model: any module with BatchNorm layers.
        data: an iterable of batches (tensor; tuple, list or dataclass whose first item is the
            input; dict passed as keywords), or a callable that returns one.
        forward: `lambda model, batch: …` for batches of any other form.
        device: where to put batches; by default where the model is.
        max_samples: stop after so many samples.
        progress: True for a bar, or a callable `(batches done, batches in all or None)`.

    Returns:
        A `Measurement`: `m.sites[path]` holds stored, train and test mean, variance and count per
        channel, Δ, severity and the paper's figure, each with its standard error.

    Raises:
        ModelError: nothing to measure, or the model raised or overflowed; the message says where.
        DataError: no batches, an unknown form, NaN or infinity in a batch (named by index).

    Example:
        >>> import torch, varshift as vs
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(4))
        >>> m = vs.measure(model, [torch.randn(512, 4) for _ in range(8)])
        >>> abs(m.sites["1"].shift - 0.5) < 0.05      # mean 0: Δ = keep_p
        True
    """
    train, test = Recording("train"), Recording("test")
    regimes = {
        "train": Regime("training", record=(train,), structure=True),
        "test": Regime("evaluation", record=(test,), name_draws=True),
    }
    with session(
        model, forward=forward, device=device, progress=progress, label="tracing modules"
    ) as run:

        def step(done: int, batch: Batch) -> None:
            if done == 1:
                _refuse_nothing(run, train)
                run.report.begin("measuring")  # the first, traced batch says nothing of the others
            run.report(done, batches_in_all(data, max_samples, done, batch))

        passed = run.run(run.batches(data, max_samples), regimes, step)
        found = measurement_of(run, train, test, passed)
    return run.noted(found)


def measurement_of(run: Session, train: Recording, test: Recording, passed: Passed) -> Measurement:
    """What two recordings of the same batches say; of evaluation the draws must be named."""
    structure = run.structure
    sites = {
        path: replace(
            site_of(path, stored, train.at[path], test.at[path], passed.samples),
            by_batch=path in test.by_batch,
        )
        for path, stored in train.stored.items()
        if path in test.stored
    }
    return Measurement(
        sites=sites,
        structure=structure,
        samples=passed.samples,
        batches=passed.batches,
        skipped={
            norm.path: "no batch reached it in both modes"
            for norm in structure.norms
            if norm.path not in sites
        },
        notes=tuple(dict.fromkeys([*structure.notes, *_notes(run, structure, sites)])),
    )


def _notes(run: Session, structure: Structure, sites: dict[str, Site]) -> Iterator[str]:
    if run.drew["test"]:
        places = ", ".join(run.draws["test"][:5]) or "outside torch"
        yield (
            f"noise stays on in eval mode ({places}): the test figures include it, as evaluation "
            "does"
        )
    yield from notes_on_batch_statistics(structure, (p for p, s in sites.items() if s.by_batch))
    fresh = [p for p, site in sites.items() if site.stored.untouched and not site.by_batch]
    if fresh:
        yield (
            f"{len(fresh)} of {counted(len(sites), 'norm')} still {verb(len(fresh), 'hold')} the "
            "statistics they were made with (mean 0, variance 1), as before any training: "
            "evaluation will be far off"
        )
    few = {
        path: few_of(site.delta, site.delta_se)
        for path, site in sites.items()
        if site.grade == "none" and not site.by_batch
    }
    yield from in_words({path: each for path, each in few.items() if each}, _SHIFT)
    if any(
        s.samples > 1 and 0 < s.shift < math.inf and math.isnan(s.shift_se) for s in sites.values()
    ):
        yield (
            "errors are not known: there are too few samples to show how they scatter, or, where "
            "those of a batch share a draw, too few batches. Give more data"
        )
    for norm in structure.norms:
        if norm.reused:
            yield f"{norm.path}: runs more than once a pass; its inputs are pooled"
    if structure.routes and not structure.direct():
        yield _through_norms(structure.routes, sites)
    elif not structure.routes:
        yield _without_noise(sites)


def _moved(sites: dict[str, Site]) -> dict[str, Site]:
    """Those that shift, and surely."""
    return {
        path: site
        for path, site in sites.items()
        if abs(site.shift - 1) > max(_LITTLE, 2 * site.shift_se)
    }


def _through_norms(routes: Sequence[Route], sites: dict[str, Site]) -> str:
    """Of noise that reaches norms through others alone: these keep no statistics, and let it on."""
    moved = _moved({route.norm: sites[route.norm] for route in routes if route.norm in sites})
    worst = max(moved, key=lambda path: moved[path].severity, default=routes[0].norm)
    behind = [route for route in routes if route.norm == worst]
    between = next(layer for layer in behind[0].layers if layer.role == "norm")
    more = f" and {len(behind) - 1} more" if len(behind) > 1 else ""
    at = f"severity {sites[worst].severity:.2f}" if worst in moved else "no shift is sure"
    return (
        f"noise reaches norms through other normalisation alone, which does not remove it: "
        f"{behind[0].noise}{more} through {between.path or between.kind} ({between.kind}) to "
        f"{worst} ({at} there)"
    )


def _without_noise(sites: dict[str, Site]) -> str:
    """Not that nothing shifts, where something does."""
    start = "no active noise reaches a norm"
    moved = _moved(sites)
    if not moved:
        return f"{start}: no shift by noise is expected"
    worst = max(moved, key=lambda path: moved[path].severity)
    return (
        f"{start}, and yet {len(moved)} of {counted(len(sites), 'norm')} "
        f"{verb(len(moved), 'shift')}, {worst} most (severity {moved[worst].severity:.2f}). "
        "Possible causes: stored statistics before it that do not fit, noise that was not seen (a "
        "draw in numpy or Python, masks drawn ahead of the pass and kept in an attribute), or code "
        "under self.training; varshift.explain tells which"
    )


def _refuse_nothing(run: Session, train: Recording) -> None:
    """Raise ModelError where the first batch reached no norm."""
    if train.handles:
        return
    held = run.held_norms()
    by_hand = any(note.kind is NoteKind.BY_HAND for note in run.structure.notes)
    if held and not by_hand:
        raise ModelError(
            f"the first batch reached none of the {counted(len(held), 'BatchNorm layer')} (the "
            f"first is {held[0]!r}); check forward= and the part of the model that is used"
        )
    raise ModelError(no_norm(run.structure, "to measure"))
