"""Records of one data set by what they are of, and the figures that are read off them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence

from varshift.reproduce.nets import FAMILIES, Kind, Place, Placing
from varshift.reproduce.records import Record

__all__ = [
    *("NONE", "A", "B", "Book", "Figure", "Values", "alive", "books", "dropout", "error", "excess"),
    *("mean_paper_ratio", "mean_severity", "mean_shift", "repaired_error"),
]

Figure = Callable[[Record], float]
Values = Callable[[str], Iterable[float]]  # by the name of a network
NONE, A, B = Placing(), Placing("a", "dropout", 0.5), Placing("b", "dropout", 0.5)
# Whatever stands in for CIFAR-10 at a small scale goes by its name; sets stand in this order.
SETS = {"cifar100": "C100", "fashion-mnist": "Fashion"}
ORDER = ("C10", *SETS.values())


def dropout(place: Place, rate: float) -> Placing:
    """Dropout at a place; none at a rate of 0."""
    return Placing(place, "dropout", rate) if rate else NONE


def books(records: Iterable[Record]) -> list[Book]:
    """A book for each data set, in the order of the paper; an empty one where nothing was run."""
    held = list(records)
    there = sorted({_set(one) for one in held}, key=ORDER.index)
    return [Book(one for one in held if _set(one) == data) for data in there] or [Book([])]


class Book:
    """Records of one data set, found by network, placing and width."""

    def __init__(self, records: Iterable[Record]) -> None:
        held = list(records)
        self.records = [record for record in held if "failed" not in record]
        self.failed = [record for record in held if "failed" in record]
        self.data = _set(held[0]) if held else "C10"  # the paper's word: "C10", "C100"; "Fashion"
        there = {record["run"]["shape"]["family"] for record in self.records}
        self.families = [family for family in FAMILIES if family in there]  # as the paper has them

    @property
    def title(self) -> str:
        """What the images really are: a re-encoded copy says so."""
        there = dict.fromkeys(one["provenance"]["data"] for one in self.records)
        return ", ".join(there) or "nothing run"

    def find(self, family: str, placing: Placing = NONE, width: int | None = None) -> list[Record]:
        """By rising seed. Without a `width`, of the tables' one."""
        wide = self._usual(family) if width is None else width
        found = [
            record
            for record in self._of(family)
            if _placing(record) == placing and record["run"]["shape"]["width"] == wide
        ]
        return sorted(found, key=_seed)

    def values(
        self, figure: Figure, family: str, placing: Placing = NONE, width: int | None = None
    ) -> list[float]:
        """A figure of each of these records, by rising seed."""
        return [figure(one) for one in self.find(family, placing, width)]

    def each(self, figure: Figure, placing: Placing = NONE) -> Values:
        """A figure of every network, by its name."""
        return lambda family: self.values(figure, family, placing)

    def gap(
        self,
        first: tuple[Figure, Placing],
        second: tuple[Figure, Placing],
        widths: tuple[int | None, int | None] = (None, None),
    ) -> Values:
        """What first is above second, seed by seed where there are both, by name of a network."""

        def found(family: str) -> list[float]:
            one, other = (
                {_seed(record): figure(record) for record in self.find(family, placing, width)}
                for (figure, placing), width in zip((first, second), widths, strict=True)
            )
            return [one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())]

        return found

    def amounts(self, place: Place, kind: Kind, family: str | None = None) -> list[float]:
        """Which amounts of a noise at a place there are, rising: in one network, or in any."""
        names = self.families if family is None else [family]
        placings = {_placing(one) for name in names for one in self._of(name)}
        return sorted(p.amount for p in placings if (p.place, p.kind) == (place, kind))

    def placings(self, family: str) -> list[Placing]:
        """All that a network was trained with in its usual width."""
        found = {_placing(one) for one in self._of(family)}
        kept = [placing for placing in found if self.find(family, placing)]
        return sorted(kept, key=lambda placing: (placing.place, placing.kind, placing.amount))

    def widths(self, family: str, placing: Placing = NONE) -> list[int]:
        """Which widths of a network there are, rising."""
        there = [one for one in self._of(family) if _placing(one) == placing]
        return sorted({one["run"]["shape"]["width"] for one in there})

    def _of(self, family: str) -> list[Record]:
        return [one for one in self.records if one["run"]["shape"]["family"] == family]

    def _usual(self, family: str) -> int | None:
        """The width with the most placings: further widths are run with two of them only."""
        placings: dict[int, set[Placing]] = {}
        for one in self._of(family):
            placings.setdefault(one["run"]["shape"]["width"], set()).add(_placing(one))
        return max(placings, key=lambda width: len(placings[width]), default=None)


def _placing(record: Record) -> Placing:
    return Placing(**record["run"]["placing"])


def _seed(record: Record) -> int:
    return int(record["run"]["seed"])


def _set(record: Record) -> str:
    return SETS.get(record["run"]["images"]["name"], "C10")


# Figures of one record -------------------------------------------------------------------------


def error(record: Record) -> float:
    """Test error in percent, as trained."""
    return 100 * float(record["test"]["error"])


def repaired_error(method: str) -> Figure:
    """Test error in percent after a repair; NaN where it was not tried."""

    def found(record: Record) -> float:
        made = record.get("repairs", {}).get(method)
        return math.nan if made is None else 100 * float(made["error"])

    return found


def excess(record: Record) -> float:
    """Error on training images in evaluation mode less that with noise on, in points."""
    sides = record["train"]
    return 100 * float(sides["evaluation"]["error"] - sides["noise on"]["error"])


def mean_paper_ratio(record: Record) -> float:
    """The paper's figure, max(r, 1/r) of channel means, averaged over the norms."""
    return _mean([max(site["paper"], 1 / site["paper"]) for site in alive(record)])


def mean_severity(record: Record) -> float:
    """This project's severity, averaged over the norms."""
    return _mean([site["severity"] for site in alive(record)])


def mean_shift(record: Record) -> float:
    """Geometric mean over the norms of the signed shift Δ: below 1 where test varies less."""
    return math.exp(_mean([math.log(site["shift"]) for site in alive(record)]))


def alive(record: Record) -> list[Record]:
    """Norms of which some channel varies at all."""
    return [site for site in record["sites"] if site["live"]]


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else math.nan
