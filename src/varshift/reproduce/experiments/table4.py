"""Table 4: one dropout before the classifier, where no norm can see it; claim (viii).

What it shares with Table 6: error by amount of a noise, and what of it is harm.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from varshift._draw.document import Table
from varshift._draw.pictures.described import Interval, Intervals
from varshift.reproduce.book import NONE, Book, Values, error
from varshift.reproduce.claims import Claim, parts_of
from varshift.reproduce.estimates import Part
from varshift.reproduce.experiments.base import Cells, Experiment, Printed, with_paper
from varshift.reproduce.nets import Kind, Place, Placing
from varshift.reproduce.scales import Scale
from varshift.reproduce.tables import over_seeds, table

__all__ = [
    "AMOUNTS",
    "HARM",
    "MARGIN",
    "PRINTED",
    "TABLE_4",
    "amount_rows",
    "amount_table",
    "harm",
    "margin",
]

AMOUNTS = (0.0, 0.1, 0.2, 0.3, 0.5)  # the columns of Tables 4 (drop_p) and 6 (β)
# Points of test error: less than this is no harm. Fixed before anything was run.
MARGIN = 1.0
HARM = "test error against none, points"
# Test error in percent with one dropout before the softmax.
PRINTED: Printed = {
    ("C10", "PreResNet"): (5.02, 4.96, 5.01, 4.94, 5.03),
    ("C10", "ResNeXt"): (3.77, 3.89, 3.69, 3.78, 3.78),
    ("C10", "WRN"): (3.97, 3.90, 4.00, 3.93, 3.84),
    ("C10", "DenseNet"): (4.72, 4.67, 4.73, 4.75, 4.87),
    ("C100", "PreResNet"): (23.73, 23.43, 23.65, 23.45, 23.76),
    ("C100", "ResNeXt"): (17.78, 17.77, 17.99, 17.97, 18.26),
    ("C100", "WRN"): (19.17, 19.17, 19.23, 19.19, 19.25),
    ("C100", "DenseNet"): (22.58, 21.86, 22.41, 22.41, 23.49),
}


def _cells(scale: Scale) -> Cells:
    for family in scale.shapes:
        yield family, NONE, None
        for rate in scale.heads.get(family, ()):
            yield family, Placing("last", "dropout", rate), None


def _tables(book: Book) -> Iterator[Table]:
    heads = [f"drop {amount:g}" for amount in AMOUNTS]
    yield amount_table(book, "Table 4", heads, PRINTED, "last", "dropout")


def amount_table(
    book: Book, name: str, heads: list[str], printed: Printed, place: Place, kind: Kind
) -> Table:
    """Test error by amount of a noise at a place, the paper's below."""
    placings = [Placing(place, kind, amount) if amount else NONE for amount in AMOUNTS]
    rows = with_paper(book, [book.each(error, placing) for placing in placings], printed)
    return table(f"{name}, {book.title}: test error in %", ("", *heads), rows)


def amount_rows(book: Book, letter: str, place: Place, kind: Kind) -> Iterator[Interval]:
    """Of a picture: by how much the test error is above that without noise."""
    for family in book.families:
        for amount in book.amounts(place, kind, family):
            if amount <= AMOUNTS[-1]:
                points = harm(book, Placing(place, kind, amount))(family)
                yield over_seeds(f"{family}, {letter} {amount:g}", points, "train")


def _picture(book: Book) -> Intervals:
    rows = list(amount_rows(book, "drop", "last", "dropout"))
    return Intervals("one dropout before the classifier", HARM, rows, 0.0)


def harm(book: Book, placing: Placing) -> Values:
    """Points of test error that a noise adds, seed by seed."""
    return book.gap((error, placing), (error, NONE))


def margin(book: Book) -> float:
    """MARGIN, or a tenth of the error without noise where networks err less than ten percent."""
    errors = [value for family in book.families for value in book.values(error, family)]
    return min([MARGIN, statistics.fmean(errors) / 10]) if errors else MARGIN


def _head_is_harmless(book: Book) -> Iterator[Part]:
    """At every rate that was run."""
    for rate in book.amounts("last", "dropout"):
        added = harm(book, Placing("last", "dropout", rate))
        yield from parts_of(book, f" drop {rate:g}", added, high=margin(book))


TABLE_4 = Experiment(
    *("table4", "one dropout before the classifier", _cells, _tables, _picture),
    claims=(
        Claim(
            *("viii", "One dropout after all norms does not hurt."),
            "Table 4",
            "points of test error against no dropout; below the margin (one point, or a tenth of "
            "the error without noise where that is less)",
            _head_is_harmless,
        ),
    ),
)
