"""How many seeds a claim needs, from the spread over the seeds that are there."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from varshift._draw.document import Table
from varshift.reproduce.book import Book
from varshift.reproduce.estimates import LEVEL, Part
from varshift.reproduce.experiments import judged
from varshift.reproduce.tables import number, table
from varshift.theory import student_quantile

__all__ = ["MOST", "POWER", "Need", "need_of", "power_table", "seeds_needed"]

POWER = 0.8  # chance that the interval decides, were the effect what was measured
CAUTION = 0.8  # chance that the true deviation is no larger than the one planned with
MOST = 30  # seeds; a part that needs more is not decided by seeds


@dataclass(frozen=True)
class Need:
    """What it takes to decide one part of a claim.

    Attributes:
        effect: its mean over networks and seeds.
        distance: how far that is from the nearest end of the range that the claim puts it in.
        deviation: of the mean over networks from one seed to another.
        planned: the deviation that is planned with: larger, since few seeds have shown it.
        seeds: how many decide; None where more than MOST would be needed, or where the distance
            is within one standard error and nobody knows on which side the effect lies.
    """

    effect: float
    distance: float
    deviation: float
    planned: float
    seeds: int | None


def need_of(part: Part, networks: Sequence[Sequence[float]]) -> Need | None:
    """`networks` are the part's figures, by network; None where none has two seeds.

    Between networks nothing varies at random, so the mean over K of them has the deviation
    √Σs² / K from seed to seed, with Welch's degrees of freedom.
    """
    seeds = [figures for figures in networks if len(figures) > 1]
    if not seeds:
        return None
    squares = [statistics.variance(figures) for figures in seeds]
    deviation = math.sqrt(sum(squares)) / len(seeds)
    fewest = min(map(len, seeds))
    # Networks of one deviation count in full, one noisy network among quiet ones counts alone.
    weight = sum(squares) ** 2 / sum(s**2 for s in squares) if deviation else len(seeds)
    planned = deviation * _caution((fewest - 1) * weight)
    effect = statistics.fmean(statistics.fmean(figures) for figures in seeds)
    ends = [end for end in (part.low, part.high) if math.isfinite(end)]
    distance = min(abs(effect - end) for end in ends)
    known = distance > deviation / math.sqrt(fewest)
    found = seeds_needed(distance, planned, weight) if known else None
    return Need(effect, distance, deviation, planned, found)


def seeds_needed(distance: float, deviation: float, weight: float = 1.0) -> int | None:
    """The fewest seeds with (t at LEVEL + t at POWER) · deviation / √n ≤ distance; None over MOST.

    `weight` is how many networks' worth of degrees of freedom a seed brings.

    >>> seeds_needed(distance=1.0, deviation=0.5), seeds_needed(distance=0.1, deviation=1.0)
    (5, None)
    """
    for seeds in range(2, MOST + 1):
        freedom = (seeds - 1) * weight
        # Quantiles are two-sided: 0.6 leaves a fifth above.
        reach = student_quantile(LEVEL, freedom) + student_quantile(2 * POWER - 1, freedom)
        if reach * deviation / math.sqrt(seeds) <= distance:
            return seeds
    return None


def _caution(freedom: float) -> float:
    """√(ν / χ²) at the quantile of χ² that CAUTION leaves above, by Wilson and Hilferty's cube."""
    z = statistics.NormalDist().inv_cdf(1 - CAUTION)
    root = 1 - 2 / (9 * freedom) + z * math.sqrt(2 / (9 * freedom))
    return math.pow(root, -1.5)


def power_table(book: Book) -> Table:
    """Every deciding part of every claim: its spread, and how many seeds decide it."""
    rows = []
    for verdict in judged(book):
        for part in verdict.deciding:
            found = need_of(part, _networks(part, verdict.parts))
            if found is not None:
                rows.append((verdict.claim.key, part.name, part.word, *_cells(found, part)))
    heads = ("", "part", "now", "effect", "to the bound", "deviation", "planned", "n", "n needed")
    note = (
        f"Deviation: of the mean over networks from seed to seed. Planned: what it is not above "
        f"with a chance of {100 * CAUTION:.0f} %. n needed: seeds with which the "
        f"{100 * LEVEL:.0f} % interval decides with a chance of {100 * POWER:.0f} %, were the "
        f"effect what was measured; – where that is more than {MOST}, or where the effect is "
        "nearer to the bound than its own error, so that seeds alone do not decide."
    )
    return table(f"Seeds that the claims need, {book.title}", heads, rows, note)


def _networks(part: Part, parts: Sequence[Part]) -> list[tuple[float, ...]]:
    """The figures of a deciding part, apart by network again."""
    label = part.name.removeprefix("all")
    single = [
        one.estimate.values
        for one in parts
        if one.role == "network" and part.name.startswith("all") and one.name.endswith(label)
    ]
    return single or [part.estimate.values]


def _cells(found: Need, part: Part) -> tuple[str, ...]:
    return (
        *(number(found.effect, 3), number(found.distance, 3)),
        *(number(found.deviation, 3), number(found.planned, 3)),
        *(str(len(part.estimate.values)), "–" if found.seeds is None else str(found.seeds)),
    )
