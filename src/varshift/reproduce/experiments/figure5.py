"""Figure 5: accuracy on training images, noise on and in evaluation mode, by epoch; claim (x)."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from varshift._draw.document import Table
from varshift._draw.pictures.described import Chart, Panels, Points
from varshift.reproduce.book import NONE, A, B, Book, excess
from varshift.reproduce.claims import Claim, beside, parts_of
from varshift.reproduce.estimates import Part
from varshift.reproduce.experiments.base import Cells, Experiment, Printed
from varshift.reproduce.records import Record
from varshift.reproduce.scales import Scale
from varshift.reproduce.tables import spread, table

__all__ = ["FIGURE_5"]

SHOWN = ("PreResNet", "DenseNet")
KINDS = (("no dropout", NONE), ("(a) 0.5", A), ("(b) 0.5", B))
# Accuracy in percent on training data with (a) 0.5, noise on and in evaluation mode.
PRINTED: Printed = {
    ("C10", "PreResNet"): (98.8, 98.5),
    ("C10", "DenseNet"): (99.4, 96.5),
    ("C100", "PreResNet"): (95.3, 82.9),
    ("C100", "DenseNet"): (94.8, 77.0),
}


def _cells(scale: Scale) -> Cells:
    yield from ((family, placing, None) for family in SHOWN for placing in (NONE, A))


def _tables(book: Book) -> Iterator[Table]:
    rows = []
    for family in book.families:
        for label, placing in KINDS:
            if found := book.find(family, placing):
                printed = PRINTED.get((book.data, family), ()) if placing == A else ()
                sides = [_accuracy(found, side) for side in ("noise on", "evaluation")]
                lost = spread(map(excess, found), 1)
                told = " / ".join(f"{value:.1f}" for value in printed) or "–"
                rows.append((family, label, *sides, lost, told))
    heads = ("", "", "noise on", "evaluation", "lost, points", "paper")
    yield table(f"Figure 5, {book.title}: accuracy in % on training images", heads, rows)


def _accuracy(found: list[Record], side: str) -> str:
    return spread([100 - 100 * one["train"][side]["error"] for one in found], 1)


def _picture(book: Book) -> Panels:
    families = [name for name in book.families if name in SHOWN] or [""]
    return Panels("accuracy on training images", [[_panel(book, family) for family in families]])


def _panel(book: Book, family: str) -> Chart:
    lines = []
    for colour, (label, placing) in enumerate(KINDS[:2]):
        curves = [one["curve"] for one in book.find(family, placing) if one["curve"]]
        for side in ("noise on", "evaluation"):
            if curves:
                epochs = [point["epoch"] for point in curves[0]]
                means = [
                    100 * statistics.fmean(point[side] for point in points)
                    for points in zip(*curves, strict=True)
                ]
                style = "line" if side == "noise on" else "dashed"
                told = f"{label}, {side}"
                lines.append(Points(told, epochs, means, colour=colour, style=style))  # type: ignore[arg-type]
    return Chart(family, "epoch", "accuracy on training images, %", lines)


def _training_suffers(book: Book) -> Iterator[Part]:
    """(a) decides; without dropout the same figure shows what the two modes differ by anyway."""
    yield from parts_of(book, " (a)", book.each(excess, A), low=0)
    yield from beside(book, " no dropout", book.each(excess), low=0)


FIGURE_5 = Experiment(
    *("fig5", "accuracy on training data, noise on and off, by epoch", _cells, _tables, _picture),
    claims=(
        Claim(
            *("x", "Training images themselves are classified worse in evaluation mode."),
            "Figure 5",
            "points of error on training images, evaluation less noise on; (a) 0.5; above 0",
            _training_suffers,
        ),
    ),
)
