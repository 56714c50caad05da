"""Figure 3: d·cos²θ of trained filters over their d; width; and claim (vii), which rests on both.

Table 1, the means over all layers, is drawn as the same picture.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from varshift._draw.document import Table
from varshift._draw.pictures.described import Chart, Points
from varshift.reproduce.book import NONE, B, Book, mean_paper_ratio
from varshift.reproduce.claims import Claim, parts_of
from varshift.reproduce.estimates import Part
from varshift.reproduce.experiments.base import Cells, Experiment
from varshift.reproduce.lines import slope
from varshift.reproduce.records import Record
from varshift.reproduce.scales import Scale
from varshift.reproduce.tables import spread, table
from varshift.theory import null_band_of_mean

__all__ = ["FIGURE_3", "angles"]


def _cells(scale: Scale) -> Cells:
    yield from ((family, NONE, None) for family in scale.shapes)
    for family, widths in scale.widths.items():
        for width in widths:
            yield family, NONE, width
            yield family, B, width
        yield family, B, None


def _tables(book: Book) -> Iterator[Table]:
    rows = []
    for family in book.families:
        for width in book.widths(family):
            found = book.find(family, NONE, width)
            rows.append(
                (
                    *(family, str(width), spread(map(d_slope, found), 4)),
                    *(spread(map(d_slope_within, found), 4), spread(map(wide_filters, found))),
                    spread(book.values(mean_paper_ratio, family, B, width), 3),
                )
            )
    heads = ("", "width", "slope over d", "one kernel size", "d·cos²θ k×k", "shift, (b) 0.5")
    note = (
        "Slopes by least squares over all convolutions but the stem, and with a level of "
        "its own for each kernel size. The paper's figure, CIFAR-10: 0.0214 (WRN), 0.0129 "
        "(ResNeXt), 0.0090 (DenseNet), none (PreResNet)."
    )
    yield table(f"Figure 3, {book.title}: d·cos²θ and width", heads, rows, note)


def _filters(record: Record) -> list[Record]:
    """What is known of the convolutions, the stem left out."""
    return [
        conv for conv in record["filters"] if conv["path"] != "stem" and conv["d_cos2"] is not None
    ]


def d_slope(record: Record) -> float:
    """Slope of d·cos²θ over d in one network."""
    convs = _filters(record)
    return slope([conv["d"] for conv in convs], [conv["d_cos2"] for conv in convs])


def d_slope_within(record: Record) -> float:
    """The same among filters of one kernel size: a common slope, a level for each size.

    1×1 filters have small d and lie low; across sizes that alone makes a slope.
    """
    convs = _filters(record)

    def above(conv: Record, name: str) -> float:
        alike = [other[name] for other in convs if other["kernel"] == conv["kernel"]]
        return float(conv[name] - statistics.fmean(alike))

    return slope([above(conv, "d") for conv in convs], [above(conv, "d_cos2") for conv in convs])


def wide_filters(record: Record) -> float:
    """Mean of d·cos²θ over the convolutions of the blocks with kernels wider than a pixel."""
    return statistics.fmean(conv["d_cos2"] for conv in _filters(record) if conv["kernel"] > 1)


def angles(book: Book) -> Chart:
    """d·cos²θ of each convolution over its d, 1×1 ones hollow, with the random null."""
    points = []
    largest = 2
    for colour, family in enumerate(book.families):
        found = [one for width in book.widths(family) for one in book.find(family, NONE, width)]
        convs = [conv for one in found for conv in _filters(one)]
        largest = max([largest, *(conv["d"] for conv in convs)])
        for style in ("dots", "hollow"):
            shown = [conv for conv in convs if (conv["kernel"] == 1) is (style == "hollow")]
            across, up = ([conv[name] for conv in shown] for name in ("d", "d_cos2"))
            label = family if style == "dots" else ""
            points.append(Points(label, across, up, colour=colour, style=style))
    random = [round(2 + (largest - 2) * step / 50) for step in range(51)]
    low, high = zip(*(null_band_of_mean(d, 32) for d in random), strict=True)
    points.append(Points("32 random filters, 95 %", random, [1.0] * 51, low, high))
    return Chart(
        "d·cos²θ of trained filters, and of random ones",
        "d, entries of a filter (hollow: 1×1)",
        "mean d·cos²θ of a layer",
        points,
        level=1,
    )


def _width_helps(book: Book) -> Iterator[Part]:
    """The widest against the narrowest of a family; and the filters of the usual widths."""

    def narrower(family: str) -> list[float]:
        widths = book.widths(family, B)
        if len(widths) < 2:
            return []
        side = mean_paper_ratio, B
        return list(book.gap(side, side, (widths[-1], widths[0]))(family))

    yield from parts_of(book, " wide − narrow", narrower, high=0)
    yield from parts_of(book, " d·cos²θ", book.each(wide_filters), low=1)
    yield from parts_of(book, " slope over d", book.each(d_slope_within), low=0)


FIGURE_3 = Experiment(
    *("fig3", "d·cos²θ grows with d in trained filters", _cells, _tables, angles),
    claims=(
        Claim(
            *("vii", "Width reduces the shift; d·cos²θ grows with d beyond its random null."),
            "Figure 3, Table 1",
            "ratio at (b) of the widest less that of the narrowest network, below 0; mean d·cos²θ "
            "of k×k filters, above 1; its slope over d among filters of one kernel size, above 0",
            _width_helps,
        ),
    ),
)
