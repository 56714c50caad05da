"""Table 6: Uout at (b), and beyond it three shapes of noise at one τ; claim (ix)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from varshift._draw.document import Table
from varshift._draw.pictures.described import Intervals
from varshift.reproduce.book import NONE, Book, error, mean_severity
from varshift.reproduce.claims import Claim, parts_of
from varshift.reproduce.estimates import Part
from varshift.reproduce.experiments.base import Cells, Experiment, Printed
from varshift.reproduce.experiments.table4 import (
    AMOUNTS,
    HARM,
    amount_rows,
    amount_table,
    harm,
    margin,
)
from varshift.reproduce.nets import NOISES, Placing, three_noises
from varshift.reproduce.scales import Scale
from varshift.reproduce.tables import number, over_seeds, spread, table

__all__ = ["PRINTED", "TABLE_6"]

# Test error in percent with Uout placed as (b).
PRINTED: Printed = {
    ("C10", "PreResNet"): (5.02, 5.02, 4.85, 4.98, 4.97),
    ("C10", "ResNeXt"): (3.77, 3.84, 3.83, 3.75, 3.79),
    ("C10", "WRN"): (3.97, 3.96, 3.80, 3.90, 3.84),
    ("C10", "DenseNet"): (4.72, 4.70, 4.64, 4.68, 4.61),
    ("C100", "PreResNet"): (23.73, 23.73, 23.62, 23.53, 23.77),
    ("C100", "ResNeXt"): (17.78, 17.74, 17.77, 17.83, 17.86),
    ("C100", "WRN"): (19.17, 19.07, 18.98, 18.95, 18.87),
    ("C100", "DenseNet"): (22.58, 22.39, 22.57, 22.35, 22.30),
}


def _cells(scale: Scale) -> Cells:
    for family in scale.shapes:
        if family in scale.betas or family in scale.matched:
            yield family, NONE, None
        for beta in scale.betas.get(family, ()):
            yield family, Placing("b", "uout", beta), None
        for drop_p in scale.matched.get(family, ()):
            yield from ((family, placing, None) for placing in three_noises(drop_p))


def _tables(book: Book) -> Iterator[Table]:
    heads = [f"β {amount:g}" for amount in AMOUNTS]
    yield amount_table(book, "Table 6", heads, PRINTED, "b", "uout")
    rows = [
        (
            *(family, f"{placing.kind} {placing.amount:g}", number(drop_p / (1 - drop_p), 3)),
            spread(book.values(error, family, placing)),
            spread(book.values(mean_severity, family, placing), 3),
        )
        for family, drop_p in _matched(book)
        for placing in three_noises(drop_p)
    ]
    of_three = ("", "noise at (b)", "τ", "test error in %", "mean severity")
    note = "Gaussian noise is named by the dropout rate of the same τ."
    yield table(f"Beyond Table 6, {book.title}: three noises of one size", of_three, rows, note)


def _matched(book: Book) -> list[tuple[str, float]]:
    """Networks that were trained with three noises of one size, and the drop rate of that size."""
    return [(family, p) for family in book.families for p in book.amounts("b", "gaussian", family)]


def _picture(book: Book) -> Intervals:
    rows = list(amount_rows(book, "β", "b", "uout"))
    for family, drop_p in _matched(book):
        for name, placing in zip(NOISES, three_noises(drop_p), strict=True):
            told = f"{family}, {name} τ {drop_p / (1 - drop_p):.2g}"
            rows.append(over_seeds(told, harm(book, placing)(family), "test"))
    return Intervals("Uout at (b), and three noises of one size", HARM, rows, 0.0)


def _uout_is_harmless(book: Book) -> Iterator[Part]:
    """β up to 0.5 against none; then dropout, Gaussian and Uout against each other."""
    most = margin(book)
    for beta in [beta for beta in book.amounts("b", "uout") if beta <= 0.5] or [0.5]:
        added = harm(book, Placing("b", "uout", beta))
        yield from parts_of(book, f" β {beta:g}", added, high=most)
    for drop_p in book.amounts("b", "gaussian") or [0.25]:
        shapes = zip(NOISES, three_noises(drop_p), strict=True)
        for (first, one), (second, other) in combinations(shapes, 2):
            label = f" {first} − {second} at τ {drop_p / (1 - drop_p):.2g}"
            gap = book.gap((error, one), (error, other))
            yield from parts_of(book, label, gap, low=-most, high=most)


TABLE_6 = Experiment(
    *("table6", "Uout, and three noises of one size", _cells, _tables, _picture),
    claims=(
        Claim(
            "ix",
            "Uout with β ≤ 0.5 does not hurt; at equal τ no noise is better than another.",
            "Table 6; the second half is this project's",
            "points of test error against no dropout, below the margin; differences between three "
            "noises of one τ, within the margin",
            _uout_is_harmless,
        ),
    ),
)
