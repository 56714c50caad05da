"""Table 1: angles of the filters of networks trained without dropout, beside the random null."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

from varshift._draw.document import Table
from varshift.reproduce.book import NONE, Book
from varshift.reproduce.experiments.base import Cells, Experiment, Printed
from varshift.reproduce.experiments.figure3 import angles
from varshift.reproduce.records import Record
from varshift.reproduce.scales import Scale
from varshift.reproduce.tables import number, spread, table

__all__ = ["PRINTED", "TABLE_1"]

# Mean cos²θ and mean d·cos²θ over the convolutions of a network trained without dropout.
PRINTED: Printed = {
    ("C10", "PreResNet"): (0.03546, 2.918),
    ("C10", "ResNeXt"): (0.02244, 14.783),
    ("C10", "WRN"): (0.02292, 52.736),
    ("C10", "DenseNet"): (0.01538, 3.834),
    ("C100", "PreResNet"): (0.03169, 2.599),
    ("C100", "ResNeXt"): (0.02468, 14.728),
    ("C100", "WRN"): (0.02118, 44.313),
    ("C100", "DenseNet"): (0.01390, 3.433),
}


def _cells(scale: Scale) -> Cells:
    yield from ((family, NONE, None) for family in scale.shapes)


def _tables(book: Book) -> Iterator[Table]:
    rows = []
    for family in book.families:
        found = book.find(family)
        cos2, d_cos2 = PRINTED.get((book.data, family), (math.nan, math.nan))
        rows.append(
            (
                *(family, spread([_mean(one, "cos2") for one in found], 4), number(cos2, 4)),
                *(spread([_mean(one, "d_cos2") for one in found]), number(d_cos2)),
                f"{100 * statistics.fmean(map(_above, found)):.0f} %" if found else "–",
            )
        )
    heads = ("", "cos²θ", "paper", "d·cos²θ", "paper", "layers above the null")
    note = (
        "Random filters have d·cos²θ = 1 on average at every d; a layer lies above the null "
        "if its mean is above the band that 95 of 100 random layers of its size fall into."
    )
    yield table(f"Table 1, {book.title}: filters trained without dropout", heads, rows, note)


def _mean(record: Record, name: str) -> float:
    return statistics.fmean(conv[name] for conv in record["filters"] if conv[name] is not None)


def _above(record: Record) -> float:
    return statistics.fmean(conv["d_cos2"] > conv["null"][1] for conv in record["filters"])


TABLE_1 = Experiment("table1", "cos²θ and d·cos²θ of trained filters", _cells, _tables, angles)
