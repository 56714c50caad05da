"""Table 1 and Figures 1, 3, 4, 5: what is seen in the layers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

from varshift.reproduce.book import (
    Book,
    Figure,
    Record,
    alive,
    error,
    excess,
    mean_paper_ratio,
    mean_severity,
    mean_shift,
)
from varshift.reproduce.estimates import Estimate, estimate
from varshift.reproduce.lines import slope
from varshift.reproduce.nets import Place, Placing
from varshift.reproduce.paper import FIGURE_4, RATES, TABLE_1, TRAINING_ACCURACY
from varshift.reproduce.sheet import Sheet, number, spread

__all__ = [
    "d_slope",
    "d_slope_within",
    "figure1",
    "figure3",
    "figure4",
    "figure5",
    "table1",
    "wide_filters",
]

NONE = Placing()
Key = tuple[str, str, str]
SIDES: tuple[Place, ...] = ("a", "b")
A, B = Placing("a", "dropout", 0.5), Placing("b", "dropout", 0.5)


def table1(book: Book) -> Iterator[Sheet]:
    """Angles of the filters of networks trained without dropout, beside the random null."""
    for data in book.sets:
        rows = []
        for family in book.families:
            found = book.find(family, NONE, data=data).values()
            printed = TABLE_1.get((data, family), (math.nan, math.nan))
            rows.append(
                (
                    family,
                    spread(estimate([_mean(one, "cos2") for one in found]), 4),
                    number(printed[0], 4),
                    spread(estimate([_mean(one, "d_cos2") for one in found]), 2),
                    number(printed[1], 2),
                    f"{100 * statistics.fmean([_above(one) for one in found]):.0f} %"
                    if found
                    else "–",
                )
            )
        heads = ("", "cos²θ", "paper", "d·cos²θ", "paper", "layers above the null")
        note = (
            "Random filters have d·cos²θ = 1 on average at every d; a layer lies above the null "
            "if its mean is above the band that 95 of 100 random layers of its size fall into."
        )
        yield Sheet(
            f"Table 1, {book.named(data)}: filters trained without dropout",
            heads,
            tuple(rows),
            (note,),
        )


def _mean(record: Record, name: str) -> float:
    return statistics.fmean(conv[name] for conv in record["filters"] if conv[name] is not None)


def _above(record: Record) -> float:
    return statistics.fmean(conv["d_cos2"] > conv["null"][1] for conv in record["filters"])


def figure3(book: Book) -> Iterator[Sheet]:
    """How d·cos²θ grows with d: over the layers of a network, and with the network's width."""
    for data in book.sets:
        rows = []
        for family in book.families:
            for width in book.widths(family, NONE, data=data):
                found = book.find(family, NONE, data=data, width=width).values()
                noisy = book.figures(mean_paper_ratio, family, B, data=data, width=width)
                rows.append(
                    (
                        family,
                        str(width),
                        spread(estimate([d_slope(one) for one in found]), 4),
                        spread(estimate([d_slope_within(one) for one in found]), 4),
                        spread(estimate([wide_filters(one) for one in found]), 2),
                        spread(estimate(list(noisy.values())), 3),
                    )
                )
        heads = ("", "width", "slope over d", "one kernel size", "d·cos²θ, k×k", "shift, (b) 0.5")
        note = (
            "Slopes by least squares over all convolutions but the stem, and with a level of "
            "its own for each kernel size. The paper's figure, CIFAR-10: 0.0214 (WRN), 0.0129 "
            "(ResNeXt), 0.0090 (DenseNet), none (PreResNet)."
        )
        yield Sheet(f"Figure 3, {book.named(data)}: d·cos²θ and width", heads, tuple(rows), (note,))


def d_slope(record: Record) -> float:
    """Slope of d·cos²θ over d in one network, the stem left out."""
    convs = [
        conv for conv in record["filters"] if conv["path"] != "stem" and conv["d_cos2"] is not None
    ]
    return slope([conv["d"] for conv in convs], [conv["d_cos2"] for conv in convs])


def d_slope_within(record: Record) -> float:
    """The same among filters of one kernel size: a common slope, a level for each size.

    1×1 filters have small d and lie low; across sizes that alone makes a slope.
    """
    kernels: dict[int, list[Record]] = {}
    for conv in record["filters"]:
        if conv["path"] != "stem" and conv["d_cos2"] is not None:
            kernels.setdefault(conv["kernel"], []).append(conv)
    x, y = [], []
    for convs in kernels.values():
        mean = statistics.fmean(conv["d"] for conv in convs)
        level = statistics.fmean(conv["d_cos2"] for conv in convs)
        x += [conv["d"] - mean for conv in convs]
        y += [conv["d_cos2"] - level for conv in convs]
    return slope(x, y)


def wide_filters(record: Record) -> float:
    """Mean of d·cos²θ over the convolutions of the blocks with kernels wider than a pixel."""
    return statistics.fmean(
        conv["d_cos2"]
        for conv in record["filters"]
        if conv["kernel"] > 1 and conv["path"] != "stem" and conv["d_cos2"] is not None
    )


def figure1(book: Book) -> Iterator[Sheet]:
    """How far stored and real variances lie apart, with and without dropout."""
    for data in book.sets:
        rows = []
        for label, placing in (("no dropout", NONE), ("(a) 0.5", A)):
            found = list(book.find("DenseNet", placing, data=data).values())
            if not found:
                continue
            ratios = [[site["paper"] for site in alive(one)] for one in found]
            rows.append(
                (
                    label,
                    spread(estimate([statistics.fmean(one) for one in ratios]), 3),
                    spread(estimate([min(one) for one in ratios]), 3),
                    spread(estimate([max(one) for one in ratios]), 3),
                )
            )
        heads = ("DenseNet", "real/moving, mean", "smallest", "largest")
        yield Sheet(f"Figure 1, {book.named(data)}: real over moving variance", heads, tuple(rows))


def figure4(book: Book) -> Iterator[Sheet]:
    """The shift, measured as in the paper and as here; and the error beside it."""
    for data in book.sets:
        yield _shift_sheet(book, data)
        yield _error_sheet(book, data)


def _shift_sheet(book: Book, data: str) -> Sheet:
    rows = []
    for label, key, column, found in _rates(book, data):
        rows.append(
            (
                *(label, _over(found, mean_paper_ratio, 3), number(_printed(key, 1, column), 3)),
                *(_over(found, mean_severity, 2), _over(found, mean_shift, 2), _clear(found)),
            )
        )
    heads = ("", "paper's ratio", "paper", "severity", "Δ, signed", "Δ < 1, > 1")
    notes = (
        "Means over norms, ± deviation over seeds. The paper's ratio is that of channel means in "
        "the worse direction; severity is the median over channels of max(Δ, 1/Δ); Δ is test over "
        "train variance with its direction kept, a geometric mean over norms. The last column: "
        "share of channels whose own Δ lies below, above 1 by three standard errors. The rows of "
        "drop 0 are the noise floor of each figure.",
    )
    return Sheet(f"Figure 4, {book.named(data)}: shift by drop rate", heads, tuple(rows), notes)


def _error_sheet(book: Book, data: str) -> Sheet:
    rows = [
        (label, _over(found, error, 2), number(_printed(key, 0, column), 2))
        for label, key, column, found in _rates(book, data)
    ]
    heads = ("", "test error in %", "paper")
    return Sheet(f"Figure 4, {book.named(data)}: error by drop rate", heads, tuple(rows))


def _printed(key: Key, figure: int, column: int) -> float:
    """The paper's own figure; NaN for a set that it did not use."""
    return FIGURE_4[key][figure][column] if key in FIGURE_4 else math.nan


def _rates(book: Book, data: str) -> Iterator[tuple[str, Key, int, list[Record]]]:
    """Every network, place and drop rate: its label, its place in FIGURE_4, its records."""
    for family in book.families:
        for place in SIDES:
            for rate in (0.0, *book.amounts(family, place, "dropout", data=data)):
                placing = Placing(place, "dropout", rate) if rate else NONE
                if rate in RATES:
                    found = list(book.find(family, placing, data=data).values())
                    key = data, family, place
                    yield f"{family} ({place}) {rate:g}", key, RATES.index(rate), found


def _over(found: list[Record], figure: Figure, digits: int) -> str:
    return spread(estimate([figure(one) for one in found]), digits)


def _clear(found: list[Record]) -> str:
    sites = [site for one in found for site in one["sites"]]
    live = sum(site["live"] for site in sites)
    if not live:
        return "–"
    below, above = (sum(site[side] for site in sites) / live for side in ("below", "above"))
    return f"{100 * below:.0f} % / {100 * above:.0f} %"


def figure5(book: Book) -> Iterator[Sheet]:
    """Accuracy on training images at the end, noise on and in evaluation mode."""
    for data in book.sets:
        rows = []
        for family in book.families:
            for label, placing in (("no dropout", NONE), ("(a) 0.5", A), ("(b) 0.5", B)):
                found = list(book.find(family, placing, data=data).values())
                if not found:
                    continue
                printed = TRAINING_ACCURACY.get((data, family)) if placing == A else None
                rows.append(
                    (
                        *(family, label, _accuracy(found, "noise on")),
                        *(_accuracy(found, "evaluation"), _excess(found)),
                        "–" if printed is None else f"{printed[0]:.1f} / {printed[1]:.1f}",
                    )
                )
        heads = ("", "", "noise on", "evaluation", "lost, points", "paper")
        yield Sheet(
            f"Figure 5, {book.named(data)}: accuracy in % on training images", heads, tuple(rows)
        )


def _accuracy(found: list[Record], side: str) -> str:
    return spread(estimate([100 - 100 * one["train"][side]["error"] for one in found]), 1)


def _excess(found: list[Record]) -> str:
    told: Estimate = estimate([excess(one) for one in found])
    return spread(told, 1) if not math.isnan(told.mean) else "–"
