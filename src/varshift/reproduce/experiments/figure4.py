"""Figure 4: the shift by layer, and the error, at every drop rate; the means over the layers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence

from varshift._draw.document import Table
from varshift._draw.pictures.described import Chart, Panels, Points
from varshift.reproduce.book import (
    NONE,
    A,
    B,
    Book,
    dropout,
    error,
    mean_paper_ratio,
    mean_severity,
    mean_shift,
)
from varshift.reproduce.experiments.base import Cells, Experiment
from varshift.reproduce.experiments.figure4_claims import CLAIMS, RATES, SIDES
from varshift.reproduce.nets import Place
from varshift.reproduce.records import Record
from varshift.reproduce.scales import Scale
from varshift.reproduce.tables import number, spread, table

__all__ = ["FIGURE_4", "PRINTED", "over_norms", "ratios"]

# Digitised from the vector graphics of arXiv 1801.05134v1; at drop 0.5 within 0.01 of Table 3. By
# data, network and place at RATES: test error in percent, then the mean of max(r, 1/r) over the
# norms, which the paper does not print.
_DIGITISED = """
C10  PreResNet a   4.91  5.16  5.87  8.43 14.51  1.005 1.044 1.162 1.401 1.824
C10  PreResNet b    5.1  5.06  5.29  5.86  7.23  1.004 1.016 1.033 1.050 1.067
C10  ResNeXt   a   3.77  3.86   4.1  4.43  4.57  1.007 1.054 1.176 1.388 1.782
C10  ResNeXt   b   3.78  3.81  3.77  4.09  4.91  1.007 1.010 1.025 1.064 1.108
C10  WRN       a   3.98  3.91  3.99  4.59 10.26  1.005 1.076 1.188 1.369 2.135
C10  WRN       b   3.98  3.85  3.81  3.81  4.38  1.015 1.013 1.024 1.033 1.052
C10  DenseNet  a   4.83  4.63  5.55   8.7  18.1  1.010 1.066 1.222 1.489 2.026
C10  DenseNet  b   4.66  4.67  4.92  5.63  7.19  1.010 1.013 1.018 1.022 1.050
C100 PreResNet a  23.98  24.1 26.36 32.46  48.8  1.007 1.050 1.180 1.422 1.818
C100 PreResNet b  23.58 23.66 24.34 25.51 27.71  1.005 1.013 1.046 1.057 1.078
C100 ResNeXt   a  17.69 17.75 17.85 19.04 20.12  1.010 1.045 1.166 1.366 1.731
C100 ResNeXt   b  17.84 17.76 18.33 19.34 21.15  1.007 1.010 1.038 1.063 1.117
C100 WRN       a  19.15 18.65 19.52 21.08 28.09  1.010 1.072 1.202 1.458 1.961
C100 WRN       b  19.18 18.81 18.71 19.48 20.97  1.011 1.011 1.014 1.022 1.040
C100 DenseNet  a  22.45 22.41 25.26 31.45 49.48  1.011 1.071 1.262 1.586 2.258
C100 DenseNet  b  22.66 22.54 22.84  25.0 27.49  1.008 1.020 1.019 1.044 1.051
"""


PRINTED = {
    (data, family, side): (tuple(map(float, figures[:5])), tuple(map(float, figures[5:])))
    for data, family, side, *figures in map(str.split, _DIGITISED.strip().splitlines())
}
_UNKNOWN = ((math.nan,) * len(RATES),) * 2  # of a set that the paper did not use


def _cells(scale: Scale) -> Cells:
    yield from ((family, placing, None) for family in scale.shapes for placing in (NONE, A, B))
    for family, rates in scale.ratios.items():
        yield from ((family, dropout(side, rate), None) for rate in rates for side in SIDES)


def _tables(book: Book) -> Iterator[Table]:
    shifts, errors = [], []
    for family in book.families:
        for side in SIDES:
            for rate in _rates(book, family, side):
                label, found = f"{family} ({side}) {rate:g}", book.find(family, dropout(side, rate))
                printed = PRINTED.get((book.data, family, side), _UNKNOWN)
                of_error, of_ratio = (figures[RATES.index(rate)] for figures in printed)
                errors.append((label, spread(map(error, found), 2), number(of_error)))
                shifts.append(
                    (
                        *(label, spread(map(mean_paper_ratio, found), 3), number(of_ratio, 3)),
                        *(spread(map(mean_severity, found), 2), spread(map(mean_shift, found), 2)),
                        _clear(found),
                    )
                )
    heads = ("", "paper's ratio", "paper", "severity", "Δ, signed", "Δ < 1, > 1")
    note = (
        "Means over norms, ± deviation over seeds. The paper's ratio is that of channel means in "
        "the worse direction; severity is the median over channels of max(Δ, 1/Δ); Δ is test over "
        "train variance with its direction kept, a geometric mean over norms. The last column: "
        "share of channels whose own Δ lies below, above 1 by three standard errors. The rows of "
        "drop 0 are the noise floor of each figure."
    )
    yield table(f"Figure 4, {book.title}: shift by drop rate", heads, shifts, note)
    heads_of_errors = ("", "test error in %", "paper")
    yield table(f"Figure 4, {book.title}: error by drop rate", heads_of_errors, errors)


def _rates(book: Book, family: str, side: Place) -> list[float]:
    """Those of the paper that were run, none first."""
    return [rate for rate in (0.0, *book.amounts(side, "dropout", family)) if rate in RATES]


def _clear(found: list[Record]) -> str:
    sites = [site for one in found for site in one["sites"]]
    live = sum(site["live"] for site in sites)
    if not live:
        return "–"
    below, above = (sum(site[side] for site in sites) / live for side in ("below", "above"))
    return f"{100 * below:.0f} % / {100 * above:.0f} %"


def _picture(book: Book) -> Panels:
    panels = [[_panel(book, family, side) for family in book.families or [""]] for side in SIDES]
    return Panels("the paper's ratio at every norm, and the test error, by drop rate", panels)


def _panel(book: Book, family: str, side: Place) -> Chart:
    lines = []
    for rate in _rates(book, family, side):
        if found := book.find(family, dropout(side, rate)):
            label = f"{rate:g}: {statistics.fmean(map(error, found)):.1f} %"
            colour = RATES.index(rate) - 1 if rate else None
            lines.append(over_norms(label, ratios(found), colour))
    return Chart(f"{family}, ({side})", "norm (legend: drop, error)", "max(r, 1/r)", lines, level=1)


def ratios(records: Sequence[Record], *, signed: bool = False) -> list[list[float]]:
    """Per record the paper's ratio at every norm, NaN where all its channels are dead."""

    def ratio(site: Record) -> float:
        if not site["live"]:
            return math.nan
        return float(site["paper"] if signed else max(site["paper"], 1 / site["paper"]))

    return [list(map(ratio, one["sites"])) for one in records]


def over_norms(label: str, curves: Sequence[Sequence[float]], colour: int | None) -> Points:
    """The mean over seeds at every norm, from the smallest to the largest of them."""
    columns = list(zip(*curves, strict=True))
    mean, low, high = ([of(column) for column in columns] for of in (statistics.fmean, min, max))
    return Points(label, range(len(columns)), mean, low, high, colour)


FIGURE_4 = Experiment(
    *("fig4", "shift by layer, and error, at every drop rate", _cells, _tables, _picture), CLAIMS
)
