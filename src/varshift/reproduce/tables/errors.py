"""Tables 3, 4 and 6: test errors."""

from __future__ import annotations

from collections.abc import Iterator

from varshift.reproduce.book import Book, Figure, Record, error, mean_severity, repaired_error
from varshift.reproduce.estimates import Estimate, estimate
from varshift.reproduce.nets import Kind, Place, Placing, three_noises
from varshift.reproduce.paper import TABLE_3, TABLE_4, TABLE_6, TABLE_RATES
from varshift.reproduce.sheet import PAPER_ROW, Sheet, number, spread

__all__ = ["table3", "table4", "table6"]

NONE = Placing()
SIDES: tuple[Place, ...] = ("a", "b")
REPAIRS = (
    ("adjusted (live)", "adjust-live"),
    ("adjusted (once)", "adjust-once"),
    ("recalibrated", "recalibrate"),
    ("distilled", "distill"),
    ("noisy ensemble", "noisy ensemble"),
)


def table3(book: Book) -> Iterator[Sheet]:
    """Drop 0.5 at both places: the paper's columns, then the repairs it did not know."""
    for data in book.sets:
        yield _printed3(book, data)
        yield _repairs(book, data, "a")
        yield _repairs(book, data, "b")


def _printed3(book: Book, data: str) -> Sheet:
    rows = []
    for family in book.families:
        ours = [_over(book, family, NONE, data)]
        for place in SIDES:
            noisy = Placing(place, "dropout", 0.5)
            ours.append(_over(book, family, noisy, data))
            ours.append(estimate(list(_after(book, family, noisy, data, "adjust-live"))))
        rows.append((family, *map(spread, ours)))
        if printed := TABLE_3.get((data, family)):
            rows.append((PAPER_ROW, *map(number, printed)))
    heads = ("", "no dropout", "(a)", "(a) adjusted", "(b)", "(b) adjusted")
    note = (
        'Mean ± deviation over seeds. "Adjusted" here means: noise off, each norm normalises by '
        "the moving average so far (*live*). The paper leaves open when the statistics are "
        "swapped; the other reading (*once*, at the end) is in the next table."
    )
    return Sheet(
        f"Table 3, {book.named(data)}: test error in % at drop 0.5", heads, tuple(rows), (note,)
    )


def _repairs(book: Book, data: str, place: Place) -> Sheet:
    noisy = Placing(place, "dropout", 0.5)
    found = {
        family: [one for one in book.find(family, noisy, data=data).values() if "repairs" in one]
        for family in book.families
    }
    rows = [("as trained", *(spread(_over(book, f, noisy, data)) for f in found))]
    for name, method in REPAIRS:
        rows.append((name, *(_mean_error(held, repaired_error(method)) for held in found.values())))
    rows.append(("no dropout", *(spread(_over(book, f, NONE, data)) for f in found)))
    kept = [[one["repairs"]["kept"] or "nothing" for one in held] for held in found.values()]
    rows.append(("the gate keeps", *(", ".join(names) or "–" for names in kept)))
    images = {one["repairs"]["calibration"] for held in found.values() for one in held}
    notes = tuple(
        f"Repairs made on {count:,} training images, not augmented, without their labels. At "
        f"momentum 0.1 the two adjusted ones keep {100 * 0.9 ** (count / 128):.0f} % of the stored "
        "statistics. The gate judges by the loss on the test images of this table, seed by seed."
        for count in sorted(images)
    )
    title = f"Beyond Table 3, {book.named(data)}: test error in % after repair, ({place}) 0.5"
    return Sheet(title, ("", *found), tuple(rows), notes)


def _mean_error(found: list[Record], figure: Figure) -> str:
    return spread(estimate([figure(one) for one in found]))


def table4(book: Book) -> Iterator[Sheet]:
    """One dropout before the classifier, where no norm can see it."""
    for data in book.sets:
        yield _by_amount(book, data, "last", "dropout", TABLE_4, "Table 4", "drop")


def table6(book: Book) -> Iterator[Sheet]:
    """Uout at (b), and then three shapes of noise at one τ."""
    for data in book.sets:
        yield _by_amount(book, data, "b", "uout", TABLE_6, "Table 6", "β")
        yield _matched(book, data)


def _by_amount(
    book: Book,
    data: str,
    place: Place,
    kind: Kind,
    table: dict[tuple[str, str], tuple[float, ...]],
    name: str,
    letter: str,
) -> Sheet:
    amounts = [amount for amount in TABLE_RATES if amount]
    rows = []
    for family in book.families:
        cells = [spread(_over(book, family, NONE, data))]
        for amount in amounts:
            placing = Placing(place, kind, amount)
            cells.append(spread(_over(book, family, placing, data)))
        rows.append((family, *cells))
        if printed := table.get((data, family)):
            rows.append((PAPER_ROW, *map(number, printed)))
    heads = ("", *(f"{letter} {amount:g}" for amount in TABLE_RATES))
    return Sheet(f"{name}, {book.named(data)}: test error in %", heads, tuple(rows))


def _matched(book: Book, data: str) -> Sheet:
    rows = []
    for family in book.families:
        for drop_p in book.amounts(family, "b", "gaussian", data=data):
            for placing in three_noises(drop_p):
                found = book.figures(mean_severity, family, placing, data=data)
                rows.append(
                    (
                        family,
                        f"{placing.kind} {placing.amount:g}",
                        number(drop_p / (1 - drop_p), 3),
                        spread(_over(book, family, placing, data)),
                        spread(estimate(list(found.values())), 3),
                    )
                )
    heads = ("", "noise at (b)", "τ", "test error in %", "mean severity")
    note = "Gaussian noise is named by the dropout rate of the same τ."
    return Sheet(
        f"Beyond Table 6, {book.named(data)}: three noises of one size", heads, tuple(rows), (note,)
    )


def _over(book: Book, family: str, placing: Placing, data: str) -> Estimate:
    return estimate(list(book.figures(error, family, placing, data=data).values()))


def _after(book: Book, family: str, placing: Placing, data: str, method: str) -> Iterator[float]:
    yield from book.figures(repaired_error(method), family, placing, data=data).values()
