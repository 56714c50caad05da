"""What was not seen: a list of values, so that nothing is passed over in silence."""

from __future__ import annotations

from collections.abc import Iterator

from varshift._diagnose.steps import Case
from varshift.results import Step, Unseen, UnseenKind

__all__ = ["unseen"]

_RENEWED = (
    "it normalises by arithmetic of its own; forwards in train mode with the layers that draw in "
    "eval mode let it renew them"
)


def unseen(case: Case, steps: tuple[Step, ...], *, tested: bool, judged: bool) -> Iterator[Unseen]:
    """What no figure of a diagnosis speaks of.

    `tested`: test data was given; `judged`: held-out data was.
    """
    explanation, measurement = case.seen.explanation, case.seen.measurement
    structure = explanation.structure
    for path, why in explanation.skipped.items():
        yield Unseen(UnseenKind.SKIPPED_NORM, (path,), why)
    moving = (norm.path for norm in structure.norms if not norm.frozen)
    off = {path for path in case.seen.off if not case.seen.fits(path)} & case.seen.kept
    if kept := tuple(path for path in moving if path in off):
        yield Unseen(UnseenKind.KEPT_NORM, kept, _RENEWED)
    dead = tuple(path for path, site in measurement.sites.items() if site.dead)
    if dead:
        yield Unseen(UnseenKind.DEAD_CHANNELS, dead)
    silent = tuple(noise.name for noise in structure.noises if not noise.active)
    if silent:
        yield Unseen(UnseenKind.SILENT_SOURCE, silent)
    if explanation.blame.unsilenced:
        yield Unseen(UnseenKind.UNSILENCED_SOURCE, explanation.blame.unsilenced)
    if not tested:
        yield Unseen(UnseenKind.NO_TEST_DATA)
    if judged and not any(step.kind == "recalibrate" for step in steps):
        yield Unseen(UnseenKind.NO_REPAIR_TRIED)
    changes = [step for step in steps if step.kind in ("relocate", "lower-rate")]
    blind = [step.place for step in changes if step.after is None]
    blind = [place for place in dict.fromkeys(blind) if place in explanation.factors]
    if blind:
        yield Unseen(UnseenKind.NOT_PREDICTED, tuple(blind))
