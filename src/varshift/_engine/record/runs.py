"""What a norm that runs several times a pass receives in each of its runs, over all passes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from varshift.theory.moments import Moments, merge_all

__all__ = ["Runs"]

_Calls = Sequence[tuple[str, list[Moments]]]


class Runs:
    """By place, and in the order of its runs: values per channel, and sums over passes, (3, C).

    Of that number, and times it of each pass's own mean and unbiased variance. A run here is the
    first, second … call of one pass; places that are called once have none.
    """

    def __init__(self) -> None:
        self._at: dict[str, list[Tensor]] = {}

    def add(self, rounds: Sequence[_Calls]) -> None:
        """The calls of one pass, in rounds none of which has a place twice."""
        again = {place for place, _ in rounds[1]} if len(rounds) > 1 else set()
        for number, calls in enumerate(rounds):
            for place, parts in calls:
                if place in again:
                    self._add(place, number, _sums(parts))

    def join(self, other: Runs) -> None:
        """Take in those of another rank."""
        for place, held in other._at.items():
            for number, sums in enumerate(held):
                self._add(place, number, sums)

    def at(self, place: str) -> Tensor | None:
        """(runs, 3, C); None for a place that runs once."""
        held = self._at.get(place)
        return None if held is None else torch.stack(held)

    def _add(self, place: str, number: int, sums: Tensor) -> None:
        held = self._at.setdefault(place, [])
        if number == len(held):
            held.append(torch.zeros_like(sums))
        held[number] += sums


def _sums(parts: list[Moments]) -> Tensor:
    whole = merge_all(parts)
    both = torch.stack([whole.mean, whole.var().nan_to_num(0.0)]).to("cpu")
    return torch.cat([torch.full_like(both[:1], whole.count), whole.count * both])
