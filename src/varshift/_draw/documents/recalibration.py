"""The document of `recalibrate`: which statistics were rewritten, and by how much."""

from __future__ import annotations

from varshift._counting import counted
from varshift._draw.document import Cell, Column, Document, Part, Row, Table
from varshift._draw.documents.base import document
from varshift._draw.documents.cells import by_reason, name, named, number
from varshift._draw.documents.parts import MEASURE
from varshift._draw.figures import fixed
from varshift._draw.pictures.described import Boxes
from varshift.results import Recalibration

__all__: list[str] = []


@document.register
def _recalibration(result: Recalibration) -> Document:
    rewritten = bool(result.sites)
    made = Document(
        _head(result),
        detail="undo() restores the old statistics bit for bit." if rewritten else "",
        following="Next: measure (what shift is left), or repair, which keeps only what helps."
        if rewritten
        else "",
        notes=[*by_reason(result.skipped, "left alone, "), *result.notes],
        missing=[MEASURE],
        facts={"samples": f"{result.samples:,}", "batches": f"{result.batches:,}"},
    )
    made.add(
        "rewritten",
        "Stored variance before and after",
        "What each norm divides by at test, from passes with the noise off.",
        _parts(result) if rewritten else [],
    )
    return made


def _head(result: Recalibration) -> str:
    total = len(result.sites) + len(result.skipped)
    if not result.sites:
        return "No statistics were rewritten."
    said = f"{len(result.sites)} of {counted(total, 'norm')} "
    said += "has new statistics" if len(result.sites) == 1 else "have new statistics"
    furthest = result.furthest
    if furthest is None:
        return f"{said}."
    return (
        f"{said}; the largest change is at {named(furthest.path)}, where the new variance is "
        f"{fixed(furthest.ratio)} times the old one."
    )


def _parts(result: Recalibration) -> list[Part]:
    boxes = Boxes(
        "New variance over old, over the channels of each norm",
        "new ÷ old running_var per channel: median, middle half, 5 to 95 %",
        list(result.sites),
        [change.ratios for change in result.sites.values()],
    )
    columns = [
        Column("norm", numeric=False),
        Column("channels"),
        Column("values per channel", "that the new statistics were taken from"),
        Column("old variance", "running_var, median over channels", wide=True),
        Column("new variance", "the same now", wide=True),
        Column("new ÷ old variance", "median over channels"),
        Column("mean moved by", "|new − old| running_mean, median over channels", wide=True),
    ]
    rows = [
        Row(
            [
                name(path),
                number(len(change.after.var)),
                number(change.after.count),
                *map(number, change.variances),
                Cell(fixed(change.ratio), sort=change.ratio),
                number(change.moved),
            ]
        )
        for path, change in result.sites.items()
    ]
    title = (
        f"Statistics rewritten from {counted(result.samples, 'sample')} in "
        f"{counted(result.batches, 'batch')}"
    )
    return [boxes, Table(title, columns, rows, numbered=True)]
