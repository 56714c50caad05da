"""What was read beside what there was: one verdict a norm, or a noise where a norm met two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """One norm's reading against the truth at this norm; `true` is 0 where it met no noise.

    `place` is "" where the norm is clean, else "right", "undecided" (the true place is named beside
    the one that is shown, and its figures are compared) or "wrong", its kind of noise included.
    `drop_p` is None where nothing was read.
    """

    norm: str
    true: float
    drop_p: float | None = None
    low: float = 0.0
    high: float = 0.0
    claimed: bool = False
    place: str = ""

    @property
    def held(self) -> bool:
        """Whether the interval holds the truth."""
        return self.drop_p is not None and self.low <= self.true <= self.high


def verdicts(line: dict[str, Any], way: str) -> Iterator[Verdict]:
    """Of one network, read this `way`: "given" or "found"."""
    for norm, met in line["met"].items():
        records = [each for each in line[way]["records"] if each["norm"] == norm]
        if not met:
            yield _clean(norm, records)
            continue
        truths = {place: line["noises"][place] for place in met}
        left = list(records)
        unread: list[tuple[str, float]] = []
        for place, (true, noise) in truths.items():
            fit = next((each for each in left if _is(each, place, noise)), None)
            if fit is None:
                unread.append((place, true))
            else:
                left.remove(fit)
                yield _verdict(fit, true, fit["claimed"], "right")
        for place, true in unread:
            if not left:
                yield Verdict(norm, true)
                continue
            other = left.pop(0)
            noise = truths[place][1]
            beside = next((each for each in other["instead"] if _is(each, place, noise)), None)
            if beside is not None:
                beside = {"norm": norm, **beside}
                yield _verdict(beside, true, other["claimed"], "undecided")
            else:
                yield _verdict(other, true, other["claimed"], "wrong")


def _clean(norm: str, records: list[Record]) -> Verdict:
    """No noise here: any claim is one too many."""
    if not records:
        return Verdict(norm, 0.0)
    return _verdict(records[0], 0.0, any(each["claimed"] for each in records), "")


def _is(record: Record, place: str, noise: str) -> bool:
    """Straight before a norm both kinds of noise do the same."""
    straight = place == record.get("norm")
    return bool(record["place"] == place and (straight or record["noise"] == noise))


def _verdict(record: Record, true: float, claimed: bool, place: str) -> Verdict:
    return Verdict(
        record["norm"],
        true,
        *(record["drop_p"], record["low"], record["high"]),
        claimed=claimed,
        place=place,
    )
