"""What a reader must know beside the findings: what was not analysed, and what figures rest on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from varshift._check.evidence import Evidence
from varshift._check.lasting import drawn_in_evaluation
from varshift._check.passes import Met
from varshift._check.sizes import Size
from varshift._counting import counted_names, verb
from varshift._engine import Tally, notes_on_batch_statistics, rounding
from varshift._measure.few import in_words
from varshift.results import Finding, NoteKind

__all__ = ["notes_on"]

_FEW = 32  # values per channel below which a variance from the example is rough


def notes_on(evidence: Evidence, found: Sequence[Finding]) -> list[str]:
    """Every note on this model, the structure's own first."""
    return [
        *_of_structure(evidence, found),
        *evidence.notes,
        *_on_everything_dropped(evidence),
        *_on_what_was_lent(evidence),
        *_on_batch_statistics(evidence, found),
        *drawn_in_evaluation(evidence, found),
        *_on_figures(evidence),
        *_fitting(evidence, found),
        *_on_few(evidence, found),
    ]


def _of_structure(evidence: Evidence, found: Sequence[Finding]) -> Iterator[str]:
    """Less what a finding says otherwise."""
    codes = {finding.code for finding in found}
    reached = {finding.place for finding in found if finding.code == "VS205"}
    hidden = {finding.place for finding in found if finding.code == "VS401"}
    for note in evidence.structure.notes:
        known = note.kind is NoteKind.UNREACHED and note.about in reached
        known = known or (note.kind is NoteKind.NOT_REGISTERED and note.about in hidden)
        # Without a norm no variance shifts, but VS301 is that something else does.
        if not (known or ("VS301" in codes and note.kind is NoteKind.NO_NORM)):
            yield note


def _on_everything_dropped(evidence: Evidence) -> Iterator[str]:
    for noise in evidence.structure.noises:
        if evidence.structure.norms and noise.drops_all:
            where = "" if noise.line is None else f" ({noise.line.near})"
            yield (
                f"{noise.name}{where}: drop_p is 1, so nothing passes in training, and no ratio "
                "says what that does to the norms behind it; give a drop_p below 1, or take the "
                "branch out"
            )
    if not evidence.looked:
        return
    dead = [path for path, met in evidence.seen.sites.items() if _nothing_passes(met)]
    if dead:
        yield (
            f"{counted_names(dead, 'norm')}: in training nothing arrives there, in evaluation "
            "something does. The stored variance is 0, and evaluation divides by √eps"
        )


def _nothing_passes(met: Met) -> bool:
    if not (met.train.count and met.test.count):
        return False
    return _still(met.train) and not _still(met.test)


def _still(tally: Tally) -> bool:
    total = tally.total()
    return bool((total.var() <= rounding(total.mean, tally.precision)).all())


def _on_what_was_lent(evidence: Evidence) -> Iterator[str]:
    if not evidence.lent_training:
        yield (
            "the model was lent in eval mode and examined after model.train(): norms that your "
            "training keeps frozen cannot be seen (VS204)"
        )
    if not evidence.real and evidence.trained:
        yield (
            "stored statistics were not compared with data; pass data to see whether they fit "
            "(VS203 to VS207)"
        )


def _on_batch_statistics(evidence: Evidence, found: Sequence[Finding]) -> Iterator[str]:
    hidden = {finding.place for finding in found if finding.code == "VS401"}
    yield from notes_on_batch_statistics(evidence.structure, sorted(evidence.by_batch - hidden))


def _on_figures(evidence: Evidence) -> Iterator[str]:
    if not evidence.looked:
        return
    if evidence.seen.fresh and evidence.__dict__.get("sizes"):
        yield (
            "no norm has been trained: the figures hold for the weights as they are now, with "
            f"statistics computed from the {evidence.basis}"
        )
    if evidence.real:
        return
    few = [
        path
        for path, met in evidence.seen.sites.items()
        if 0 < met.train.count / evidence.passes.rounds < _FEW
    ]
    if few:
        yield (
            f"{counted_names(few, 'norm')} {verb(len(few), 'get')} fewer than {_FEW} values per "
            "channel from the example, so these figures are rough; pass more samples, or data"
        )


def _on_few(evidence: Evidence, found: Sequence[Finding]) -> Iterator[str]:
    """Norms without a finding: of too few batches, or with fewer than half of the channels off."""
    if not evidence.real:
        return
    sizes: Mapping[str, Size] = evidence.__dict__.get("sizes", {})
    unsure = [path for path, size in sizes.items() if size.high == math.inf and size.low == 1]
    if unsure:
        yield (
            f"{counted_names(unsure, 'norm')}: errors are not known, for there are too few batches "
            "to show how they scatter. Nothing is sure there: give more data"
        )
    named = {finding.place for finding in found}.union(*(finding.also for finding in found))
    shifts = {path: size.few for path, size in sizes.items() if size.few and path not in named}
    yield from in_words(shifts, "variance between training and test")
    stale = {path: few for path, few in evidence.apart.items() if path not in named}
    yield from in_words(stale, "the stored variance")


def _fitting(evidence: Evidence, found: Sequence[Finding]) -> Iterator[str]:
    """Norms that shift in training, but whose stored statistics are those of evaluation."""
    if not evidence.real:
        return
    fit = [
        finding.place
        for finding in found
        if finding.code.startswith("VS10") and evidence.fits_evaluation(finding.place)
    ]
    if fit:
        yield (
            f"{counted_names(fit, 'norm')} of those found {verb(len(fit), 'store')} the statistics "
            "of evaluation, as after varshift.recalibrate: evaluation is right as it is; further "
            "training will shift it"
        )
