"""Figure 1: what norms meet at test over what they have stored, along the depth of DenseNet."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from varshift._draw.document import Table
from varshift._draw.pictures.described import Chart
from varshift.reproduce.book import NONE, A, Book, alive
from varshift.reproduce.experiments.base import Cells, Experiment
from varshift.reproduce.experiments.figure4 import over_norms, ratios
from varshift.reproduce.scales import Scale
from varshift.reproduce.tables import spread, table

__all__ = ["FIGURE_1"]

KINDS = (("no dropout", NONE), ("(a) 0.5", A))


def _cells(scale: Scale) -> Cells:
    yield from (("DenseNet", placing, None) for _, placing in KINDS)


def _tables(book: Book) -> Iterator[Table]:
    rows = []
    for label, placing in KINDS:
        if found := book.find("DenseNet", placing):
            seen = [[site["paper"] for site in alive(one)] for one in found]
            rows.append((label, *(spread(map(of, seen), 3) for of in (statistics.fmean, min, max))))
    heads = ("DenseNet", "real/moving, mean", "smallest", "largest")
    yield table(f"Figure 1, {book.title}: real over moving variance", heads, rows)


def _picture(book: Book) -> Chart:
    about = "DenseNet: what norms meet at test over what they have stored"
    lines = [
        over_norms(label, ratios(found, signed=True), colour)
        for colour, (label, placing) in enumerate(KINDS)
        if (found := book.find("DenseNet", placing))
    ]
    across = "norm, in the order of the data"
    return Chart(about, across, "real / moving variance", lines, level=1)


FIGURE_1 = Experiment(
    "fig1", "variance at every norm, stored and at test", _cells, _tables, _picture
)
