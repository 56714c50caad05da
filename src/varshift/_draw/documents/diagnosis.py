"""The document of `diagnose`: what is wrong, where, whose doing it is, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from varshift._counting import counted, verb
from varshift._draw.document import (
    Cell,
    Column,
    Document,
    Missing,
    Row,
    Section,
    Table,
    Tree,
)
from varshift._draw.documents.base import document
from varshift._draw.documents.cells import error, known, name, named, percent, words
from varshift._draw.documents.parts import REPAIR
from varshift._draw.documents.steps import step_of
from varshift._draw.figures import measured
from varshift._draw.pictures.described import Boxes
from varshift.results import Diagnosis
from varshift.results.diagnosis import Contribution, WorstPlace
from varshift.results.explanation import most_off
from varshift.results.structure import Line

__all__: list[str] = []

_POINTS = 3
_HEADS = {
    "none": "Nothing that these data could show is wrong",
    "noise": "Noise of training shifts what norms receive",
    "staleness": "Stored statistics are not those of what norms receive",
    "small-batch": "Batches are too small, or too unlike each other, for the statistics stored",
    "data": "The test data are not like the training data",
    "other-norms": "Evaluation runs other norms than training",
    "unattributed": "Training and evaluation differ, and no noise that was found explains it",
}
_FITTING = "Batches are so small, or so unlike each other, that training is not like evaluation"
_UNLIKE = "A norm is reused on unlike inputs, so that the statistics stored are those of none"
_RUNS = "runs"  # of a reused norm that are unlike, where the cause would be batches
_CAUSES = {
    "noise": "noise",
    "staleness": "stale statistics",
    "small-batch": "batches",
    "data": "other data at test",
    "other-norms": "other norms",
    "unattributed": "not attributed",
}
_TEST_DATA = Missing(
    "what other data at test does", "vs.diagnose(model, data, test_data=test_loader)"
)
_HELD_OUT = Missing(
    "what recalibrating changes on held-out samples",
    "vs.diagnose(model, data, held_out=labelled_loader)",
)


@document.register
def _diagnosis(result: Diagnosis) -> Document:
    told = document(result.measurement), document(result.explanation), document(result.findings)
    seen = {unseen.kind.name for unseen in result.unseen}
    made = Document(
        _head(result),
        tone=None if _undecided(result) else result.grade,
        detail=result.reason if result.verdict != "none" or _undecided(result) else "",
        points=[_point(result, worst) for worst in result.worst[:_POINTS]],
        steps=[step_of(step) for step in result.advice],
        picture=told[0].picture or told[1].picture,
        meanings=list(_meanings(result)),
        following="Next: repair (tries these on held-out samples, and keeps only what helps)."
        if result.advice
        else "",
        notes=[*_unseen(result), *result.notes],
        missing=[
            *([_TEST_DATA] if "NO_TEST_DATA" in seen else []),
            *([_HELD_OUT] if result.held_out is None and result.advice else []),
            REPAIR,
        ],
        facts={
            "samples": f"{result.samples:,}",
            "batches": f"{result.batches:,}",
            "passes over the data": str(result.passes),
        },
    )
    made.add(
        "where",
        "Where, and whose doing it is",
        "",
        [*_worst(result), *_causes(result)],
    )
    kept: dict[str, Section] = {}
    for part in told:
        for section in part.sections:
            kept.setdefault(section.key, _wide(section))
    made.sections += [section for key, section in kept.items() if key not in _LAST]
    made.sections += [kept[key] for key in _LAST if key in kept]
    return made


_LAST = ("routes", "noises", "what-if")
_SHIFTS = ("depth", "channels")  # sections of the measurement


def _wide(section: Section) -> Section:
    """The same where there is room; a terminal shows what this document says itself.

    One tree and one scatter are enough: those of the shift.
    """
    kept = [p for p in section.parts if section.key in _SHIFTS or not isinstance(p, (Tree, Boxes))]
    parts = [replace(p, wide=True) if isinstance(p, Table) else p for p in kept]
    return replace(section, parts=parts)


def _head(result: Diagnosis) -> str:
    head = _HEADS[result.verdict]
    if result.verdict == "small-batch":
        place = result.explanation.worst["small-batch"]
        if place in result.explanation.unlike_runs:
            head = _UNLIKE
        elif place in result.settled:
            head = _FITTING
    if _undecided(result):
        return "Stored statistics are off, and these data do not tell whose doing it is."
    if result.verdict == "none":
        return f"{head}{_little(result)}."
    if not result.worst:
        return f"{head}."
    worst = result.worst[0]
    shift = (
        f" (variance × {measured(worst.shift.value, worst.shift.se)})"
        if worst.shift.value == worst.shift.value
        else ""
    )
    others = sum(each.cause == worst.cause for each in result.worst) - 1
    more = f", and at {counted(others, 'other place')}" if others else ""
    return f"{head}, most at {named(worst.place)}{shift}{more}."


def _undecided(result: Diagnosis) -> bool:
    """Whether no cause is sure, though what is stored surely is off."""
    return result.verdict == "none" and most_off(result.explanation.factors) is not None


def _little(result: Diagnosis) -> str:
    """What shifts, though too little to matter: the tree and the table show it."""
    sites = result.measurement.sites.values()
    graded = [site for site in sites if site.grade != "none"]
    if not graded:
        return ""
    shift = "shifts" if len(graded) == 1 else "shift"
    return (
        f". {counted(len(graded), 'norm')} of {len(sites)} {shift} by more than 10 %, but none "
        "moves what it passes on by a tenth of a standard deviation"
    )


def _cause(result: Diagnosis, held: WorstPlace | Contribution) -> str:
    runs = held.cause == "small-batch" and held.place in result.explanation.unlike_runs
    return _RUNS if runs else _CAUSES[held.cause]


def _point(result: Diagnosis, worst: WorstPlace) -> str:
    said = (
        f"{named(worst.place)}: severity {measured(worst.severity.value, worst.severity.se, 2)} "
        f"({worst.grade}), {_cause(result, worst)}"
    )
    if worst.source is None or worst.share is None:
        return said
    return f"{said}; {named(worst.source)} is {percent(worst.share)} of its variance{_at(worst)}"


def _at(held: WorstPlace | Contribution) -> str:
    return "" if held.line is None else f", {_LINES[held.line_of]} {held.line.near}"


_LINES = {"constructor": "made at", "class": "in the class at", "call": "drawn at", "nowhere": ""}


def _worst(result: Diagnosis) -> Iterator[Table]:
    if not result.worst:
        return
    rows = [
        Row(
            (
                name(worst.place),
                words(_cause(result, worst)),
                error(worst.severity.value, worst.severity.se, 2),
                Cell(worst.grade),
                name(worst.source or "—"),
                Cell("—" if worst.share is None else percent(worst.share)),
                _line(worst.line),
            ),
            worst.severity.value,
            worst.grade,
        )
        for worst in result.worst
    ]
    columns = [
        Column("place", numeric=False),
        Column("cause", numeric=False),
        Column("severity", "of that cause alone; 1 is none"),
        Column("grade", numeric=False, wide=True),
        Column("source", "the noise to blame most", False),
        Column("share", "of the variance in training"),
        Column("line", "where the source is made, or else drawn", False),
    ]
    yield Table("The worst places", columns, rows)


def _causes(result: Diagnosis) -> Iterator[Table]:
    if not result.causes:
        return
    rows = [
        Row(
            (
                words(_cause(result, cause)),
                name(cause.source or ", ".join(cause.names) or "—"),
                name(cause.place),
                error(cause.displacement.value, cause.displacement.se),
                error(cause.severity.value, cause.severity.se, 2),
                Cell("—" if cause.share is None else percent(cause.share)),
                words("" if cause.why is None else cause.why.sentence),
            ),
            known(cause.displacement.value),
        )
        for cause in result.causes
    ]
    columns = [
        Column("cause", numeric=False),
        Column("source", numeric=False),
        Column("most at", numeric=False),
        Column("moves by (σ)", "what that place passes on, in standard deviations"),
        Column("severity", wide=True),
        Column("share", "of the variance in training there"),
        Column("why", numeric=False, wide=True),
    ]
    yield Table("Whose doing it is", columns, rows)


def _line(line: Line | None) -> Cell:
    return name("—" if line is None else line.near)


def _meanings(result: Diagnosis) -> Iterator[str]:
    if any(cause.share is not None and cause.share.value < 0 for cause in result.causes):
        yield "A negative share: with that noise the variance is smaller than without."
    if any(step.before is not None for step in result.advice):
        yield (
            "Severities of the steps are as measure has them, training against test; of "
            "recalibrating, stored against test."
        )
    frozen = [path for path in result.settled if result.structure.norm(path).frozen]
    if moving := len(result.settled) - len(frozen):
        yield (
            f"{counted(moving, 'norm')} {verb(moving, 'store')} the statistics of evaluation, as "
            "after recalibrate: evaluation is right as it is, and training on will shift it again."
        )
    if frozen:
        yield (
            f"{counted(len(frozen), 'norm')} {verb(len(frozen), 'keep')} the statistics of "
            "evaluation while training differs, in eval mode: evaluation is right as it is; what "
            "comes after was trained on other inputs."
        )


def _unseen(result: Diagnosis) -> Iterator[str]:
    for unseen in result.unseen:
        about = ", ".join(map(named, unseen.about[:3]))
        more = f" and {len(unseen.about) - 3} more" if len(unseen.about) > 3 else ""
        why = f": {unseen.why}" if unseen.why else ""
        said = f"not seen: {unseen.kind.value}"
        yield f"{said}{f' ({about}{more})' if about else ''}{why}"
