"""The document of what a monitor has seen: the last look, and each norm over the steps."""

from __future__ import annotations

from varshift._counting import counted
from varshift._draw.document import Cell, Column, Document, Row, Table
from varshift._draw.documents.base import document
from varshift._draw.documents.cells import error, known, name, named
from varshift._draw.documents.parts import LEVELS, SEVERITY
from varshift._draw.figures import fixed, measured
from varshift._draw.pictures.described import Curve, Lines
from varshift.results import Monitored, MonitoredNorm, Monitoring
from varshift.results.grading import worst_grade

__all__: list[str] = []

_POINTS = 3


@document.register
def _monitoring(result: Monitoring) -> Document:
    if result.last is None:
        said = f"No look was taken in {counted(result.steps, 'step')}."
        return Document(said, notes=result.notes)
    made = Document(
        _head(result, result.last),
        tone=worst_grade(*(norm.grade for norm in result.last.norms.values())),
        detail=f"{counted(len(result.history), 'look')} in {counted(result.steps, 'step')} took "
        f"{fixed(100 * result.overhead, 1)} % of the time.",
        points=[_point(norm) for norm in _shifted(result.last)[:_POINTS]],
        picture=_lines(result),
        meanings=[
            f"Grades of the severity that is sure: {LEVELS}.",
            "±: one standard error, from how the looks differ.",
        ],
        following="Next: validate inside test_statistics; recalibrate or repair once trained."
        if _beyond(result, result.last)
        else "",
        notes=result.notes,
        facts={"steps": f"{result.steps:,}", "looks": f"{len(result.history):,}"},
    )
    made.add(
        "course",
        "Shift over the steps",
        "The variance with the noise off against that in training, on batches of the training "
        "itself.",
        [*([made.picture] if made.picture else []), _table(result, result.last)],
    )
    return made


def _head(result: Monitoring, look: Monitored) -> str:
    beyond = _beyond(result, look)
    worst = look.worst
    largest = (
        ""
        if worst is None
        else f"; the largest is {measured(worst.severity, worst.severity_se, 2)}, at "
        f"{named(worst.path)}"
    )
    return (
        f"At step {look.step}, {beyond or 'none'} of {counted(len(look.norms), 'watched norm')} "
        f"surely {'has' if beyond < 2 else 'have'} a severity above {result.threshold:g}{largest}."
    )


def _beyond(result: Monitoring, look: Monitored) -> int:
    """How many norms are surely above the threshold."""
    return sum(norm.low > result.threshold for norm in look.norms.values())


def _shifted(look: Monitored) -> list[MonitoredNorm]:
    """The norms that surely shift, the worst first."""
    shifted = [norm for norm in look.norms.values() if norm.grade != "none"]
    return sorted(shifted, key=lambda norm: -norm.low)


def _point(norm: MonitoredNorm) -> str:
    return (
        f"{named(norm.path)}: Δ {measured(norm.shift, norm.shift_se)}, severity "
        f"{measured(norm.severity, norm.severity_se, 2)} ({norm.grade})"
    )


def _lines(result: Monitoring) -> Lines:
    lines = []
    for path in result.paths():
        course = result.course(path)
        steps, values = [step for step, _ in course], [norm.severity for _, norm in course]
        lines.append(Curve(path, steps, values))
    return Lines(
        "Severity of each norm over the steps of the run", "severity", lines, result.threshold
    )


def _table(result: Monitoring, look: Monitored) -> Table:
    columns = [
        Column("norm", numeric=False),
        Column(
            "Δ off/train",
            "variance with noise off ÷ variance in training, median over channels",
        ),
        SEVERITY,
        Column("largest", f"severity of any look that was surely above {result.threshold:g}"),
        Column("looks", "that the figures rest on", wide=True),
        Column("rule", "the rule of check that this breaks", False),
        Column("noise behind", "the first source that reaches it, and how many more", False),
    ]
    rows = [_row(result, path, norm) for path, norm in look.norms.items()]
    looks = max(norm.looks for norm in look.norms.values())
    title = f"Step {look.step}, over the last {counted(looks, 'look')}"
    return Table(title, columns, rows, numbered=True)


def _row(result: Monitoring, path: str, norm: MonitoredNorm) -> Row:
    largest = result.largest(path)
    sources = result.behind.get(path, ())
    more = f" +{len(sources) - 1}" if len(sources) > 1 else ""
    return Row(
        [
            name(path),
            error(norm.shift, norm.shift_se),
            error(norm.severity, norm.severity_se, 2),
            Cell("—", sort="") if largest is None else Cell(fixed(largest, 2), sort=largest),
            Cell(str(norm.looks), sort=float(norm.looks)),
            Cell(result.codes.get(path, "")),
            name(sources[0], after=more) if sources else name("—"),
        ],
        known(norm.low),
        norm.grade,
    )
