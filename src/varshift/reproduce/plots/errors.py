"""Pictures of test errors: each seed a dot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from varshift.reproduce.book import Book, Figure, error, repaired_error
from varshift.reproduce.claims.pooling import differences
from varshift.reproduce.nets import NOISES, Kind, Place, Placing, three_noises

__all__ = ["draw_amounts", "draw_table3", "draw_table6"]

NONE = Placing()
BLUE, RED, ORANGE, GREEN, GREY = "#2c6fbb", "#c0392b", "#e08a1e", "#2e8b57", "#7f8c8d"


def draw_table3(book: Book, make: Any) -> Any:
    """Per network: no dropout, then as trained and repaired at both places."""
    a, b = Placing("a", "dropout", 0.5), Placing("b", "dropout", 0.5)
    live, ours, best = (repaired_error(m) for m in ("adjust-live", "recalibrate", "distill"))
    bars: list[tuple[str, Placing, Figure, str]] = [
        ("no dropout", NONE, error, GREY),
        ("(a) as trained", a, error, RED),
        ("(a) adjusted, live", a, live, ORANGE),
        ("(a) recalibrated", a, ours, BLUE),
        ("(a) distilled", a, best, GREEN),
        ("(b) as trained", b, error, RED),
        ("(b) adjusted, live", b, live, ORANGE),
        ("(b) recalibrated", b, ours, BLUE),
        ("(b) distilled", b, best, GREEN),
    ]
    figure = make(figsize=(10, 3.2), layout="constrained")
    families = book.families or [""]
    panels = figure.subplots(1, len(families), squeeze=False)[0]
    for panel, family in zip(panels, families, strict=True):
        for place, (_, placing, reading, colour) in enumerate(reversed(bars)):
            values = list(book.figures(reading, family, placing).values())
            _dots(panel, place, values, colour)
        panel.set_yticks(range(len(bars)), [name for name, *_ in reversed(bars)])
        panel.set_title(family)
        panel.set_xlabel("test error, %")
        if panel is not panels[0]:
            panel.set_yticklabels([])
    return figure


def draw_amounts(book: Book, make: Any) -> Any:
    """Table 4: change of the test error against no dropout, seed by seed."""
    return _changes(book, make, "last", "dropout", "drop before the classifier")


def draw_table6(book: Book, make: Any) -> Any:
    """Table 6: the same for Uout, and the three shapes of one size."""
    figure = make(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _changes_into(left, book, "b", "uout", "β of Uout at (b)")
    ticks: list[str] = []
    for family in book.families:
        for drop_p in book.amounts(family, "b", "gaussian"):
            for name, placing in zip(NOISES, three_noises(drop_p), strict=True):
                values = _against_none(book, family, placing)
                right.plot([len(ticks)] * len(values), values, "o", color=BLUE, ms=4)
                if values:
                    right.plot(len(ticks), sum(values) / len(values), "_", color="black", ms=14)
                ticks.append(f"{name}\n{family}\nτ {drop_p / (1 - drop_p):.2g}")
    right.axhline(0, color="black", lw=0.8)
    right.set_xticks(range(len(ticks)), ticks)
    right.set_title("three noises of one size")
    return figure


def _changes(book: Book, make: Any, place: Place, kind: Kind, label: str) -> Any:
    figure = make(figsize=(5, 3.2), layout="constrained")
    _changes_into(figure.subplots(), book, place, kind, label)
    return figure


def _changes_into(panel: Any, book: Book, place: Place, kind: Kind, label: str) -> None:
    marks = "osD^"
    for index, family in enumerate(book.families):
        amounts = [p for p in book.amounts(family, place, kind) if p <= 0.5]
        for number, amount in enumerate(amounts):
            placing = Placing(place, kind, amount)
            values = _against_none(book, family, placing)
            panel.plot(
                [amount + 0.012 * (index - 1.5)] * len(values),
                values,
                marks[index % len(marks)],
                color=(BLUE, RED, ORANGE, GREEN)[index % 4],
                label=family if not number else None,
                ms=5,
            )
    panel.axhline(0, color="black", lw=0.8)
    panel.set_xlim(0, 0.6)
    panel.set_xlabel(label)
    panel.set_ylabel("test error against none, points")
    if panel.get_legend_handles_labels()[0]:
        panel.legend(fontsize=8)


def _against_none(book: Book, family: str, placing: Placing) -> list[float]:
    return differences(book.figures(error, family, placing), book.figures(error, family))


def _dots(panel: Any, place: int, values: Sequence[float], colour: str) -> None:
    """Every seed a dot, their mean a diamond: a bar would have to start at zero."""
    told = [value for value in values if math.isfinite(value)]
    if told:
        panel.plot(told, [place] * len(told), "o", color=colour, ms=3.5, alpha=0.6)
        panel.plot(sum(told) / len(told), place, "D", color=colour, ms=6)
