"""What a repair is told as, and the write that it stands for."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from varshift._counting import counted, verb
from varshift._engine import Undo, no_norm, norm_handles, unusable, write
from varshift._engine.edits import named
from varshift._repair.reasons import nothing_to_do, why_kept, why_labels, why_none
from varshift._repair.split import Split
from varshift._repair.trials import Outcome, Trials
from varshift.results import NoteKind, Repair, Rewrote, Structure
from varshift.results.structure import alone

__all__ = ["kept", "untouched"]


def untouched(structure: Structure, split: Split) -> Repair:
    """The record where no noise reaches a norm."""
    active = sum(noise.active for noise in structure.noises)
    reason = nothing_to_do(active, len(structure.norms))
    if not structure.norms and any(_by_hand(note) for note in structure.notes):
        reason = no_norm(structure, "to repair")
    return Repair(
        accepted=False,
        method=None,
        reason=reason,
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


def _by_hand(note: str) -> bool:
    return getattr(note, "kind", None) is NoteKind.BY_HAND


def kept(model: nn.Module, trials: Trials, outcome: Outcome) -> Repair:
    """Write the best candidate, now that the model has been given back, and say what was done."""
    ways: list[Undo] = []
    try:
        undo = None if outcome.best is None else write(outcome.edit, model, ways)
        return _said(model, trials, outcome, undo)
    except BaseException:  # an interrupt between the write and the return: nobody could undo it
        for way in ways:
            way()
        raise


def _said(model: nn.Module, trials: Trials, outcome: Outcome, undo: Undo | None) -> Repair:
    best, before, measure = outcome.best, outcome.before, trials.scorer.measure
    written = {} if undo is None else dict(undo)
    changes = {
        name: Rewrote(old, named(model, name).detach().clone()) for name, old in written.items()
    }
    ours, theirs = trials.split.samples
    structure = trials.run.structure
    item = trials.scorer.labels.item
    return Repair(
        accepted=best is not None,
        method=None if best is None else best.method,
        reason=(
            why_none(outcome.candidates, before, measure, next(_unusable(model), None))
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
        labels_from=None if item is None or not trials.scorer.labelled else item,
        _undo=undo,
    )


def _unusable(model: nn.Module) -> Iterator[str]:
    """What norms have stored that no evaluation can use."""
    for path, held in norm_handles(model).items():
        if why := unusable(path, held.running_mean, held.running_var):
            yield why


def _notes(trials: Trials, outcome: Outcome) -> Iterator[str]:
    if trials.split.shared:
        yield (
            f"{counted(trials.split.shared, 'held-out sample')} "
            f"{verb(trials.split.shared, 'equal')} a calibration sample: the data holds "
            "duplicates, so the held-out figures may be too good"
        )
    if said := why_labels(trials.scorer.labels):
        yield said
    if trials.scorer.reader.guessed:
        yield trials.scorer.reader.guessed
    if trials.unlike:
        yield trials.unlike
    if outcome.ignored:
        yield (
            f"{counted(outcome.ignored, 'held-out sample')} {verb(outcome.ignored, 'have')} a "
            "label to be ignored (-100): left out"
        )
    if outcome.best is not None:
        yield from outcome.best.notes
