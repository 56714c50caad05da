"""Records by what they are of, and the figures that tables, plots and claims read off them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from varshift.reproduce.nets import FAMILIES, Placing

__all__ = [
    "Book",
    "alive",
    "error",
    "excess",
    "mean_paper_ratio",
    "mean_severity",
    "mean_shift",
    "repaired_error",
]

Record = dict[str, Any]
Figure = Callable[[Record], float]
NONE = Placing()
# Whatever stands in for CIFAR-10 at a small scale goes by its name.
SETS = {"cifar100": "C100", "fashion-mnist": "Fashion"}


class Book:
    """All records at hand, found by network, placing, data and width."""

    def __init__(self, records: Iterable[Record]) -> None:
        held = list(records)
        self.records = [record for record in held if "failed" not in record]
        self.failed = [record for record in held if "failed" in record]

    def only(self, data: str) -> Book:
        """The records of one data set."""
        return Book(one for one in (*self.records, *self.failed) if _set(one) == data)

    @property
    def families(self) -> list[str]:
        """The networks there are, in the paper's order."""
        there = {record["run"]["shape"]["family"] for record in self.records}
        return [family for family in FAMILIES if family in there]

    @property
    def sets(self) -> list[str]:
        """The data sets there are: "C10", "C100" or "Fashion"."""
        return list(dict.fromkeys(_set(record) for record in self.records))

    @property
    def _first(self) -> str:
        return self.sets[0] if self.records else "C10"

    def named(self, data: str) -> str:
        """What the images really are, for titles: a re-encoded copy says so."""
        there = [one["provenance"]["data"] for one in self.records if _set(one) == data]
        return ", ".join(dict.fromkeys(there))

    def find(
        self,
        family: str,
        placing: Placing = NONE,
        *,
        data: str | None = None,
        width: int | None = None,
    ) -> dict[int, Record]:
        """By seed. Without `data`, of the first set; without a `width`, the tables' one."""
        data = data or self._first
        wide = self._usual(family, data) if width is None else width
        return {
            record["run"]["seed"]: record
            for record in self.records
            if record["run"]["shape"]["family"] == family
            and _placing(record) == placing
            and _set(record) == data
            and record["run"]["shape"]["width"] == wide
        }

    def figures(
        self, figure: Figure, family: str, placing: Placing = NONE, **where: Any
    ) -> dict[int, float]:
        """A figure of each of these records, by seed."""
        return {seed: figure(one) for seed, one in self.find(family, placing, **where).items()}

    def amounts(
        self, family: str, place: str, kind: str, *, data: str | None = None
    ) -> list[float]:
        """Which amounts of a noise at a place there are, rising."""
        data = data or self._first
        placings = {_placing(one) for one in self.records if _of(one, family, data)}
        return sorted(p.amount for p in placings if (p.place, p.kind) == (place, kind))

    def widths(self, family: str, placing: Placing = NONE, *, data: str | None = None) -> list[int]:
        """Which widths of a network there are, rising."""
        data = data or self._first
        return sorted(
            {
                one["run"]["shape"]["width"]
                for one in self.records
                if _of(one, family, data) and _placing(one) == placing
            }
        )

    def _usual(self, family: str, data: str) -> int | None:
        """The width with the most placings: further widths are run with two of them only."""
        placings: dict[int, set[Placing]] = {}
        for one in self.records:
            if _of(one, family, data):
                placings.setdefault(one["run"]["shape"]["width"], set()).add(_placing(one))
        return max(placings, key=lambda width: len(placings[width]), default=None)


def _of(record: Record, family: str, data: str) -> bool:
    return bool(record["run"]["shape"]["family"] == family and _set(record) == data)


def _placing(record: Record) -> Placing:
    return Placing(**record["run"]["placing"])


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
