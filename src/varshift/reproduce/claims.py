"""A claim, how it is put to the test, and what the records say."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from varshift.reproduce.book import Book, Values
from varshift.reproduce.estimates import Part, Word, estimate, estimate_over

__all__ = ["Claim", "Verdict", "beside", "parts_of"]


@dataclass(frozen=True)
class Claim:
    """What the paper says, where, and how it is measured here.

    Attributes:
        key: roman number.
        says: the claim in a sentence.
        source: where the paper makes it.
        figure: the effect that is measured, and what it must be.
        parts: the estimates; the role of each says whether it decides.
    """

    key: str
    says: str
    source: str
    figure: str
    parts: Callable[[Book], Iterable[Part]]

    def judged(self, book: Book) -> Verdict:
        """The claim, put to the records of one data set.

        It holds where all its deciding parts do, does not where one of them does not, and is not
        decided otherwise: too few seeds, too small an effect, or something that was not run.
        """
        parts = tuple(self.parts(book))
        words = {part.word for part in parts if part.role == "decides"}
        word: Word = "holds" if words == {"holds"} else "not decided"
        return Verdict(self, "does not hold" if "does not hold" in words else word, parts)


@dataclass(frozen=True)
class Verdict:
    """A claim, its word, and the parts it rests on."""

    claim: Claim
    word: Word
    parts: tuple[Part, ...]

    @property
    def deciding(self) -> tuple[Part, ...]:
        """The parts over networks."""
        return tuple(part for part in self.parts if part.role == "decides")

    @property
    def exceptions(self) -> tuple[Part, ...]:
        """Single networks all of whose seeds say the opposite of the verdict."""
        single = [part for part in self.parts if part.role == "network"]
        if self.word == "holds":
            return tuple(part for part in single if part.outside)
        if self.word == "does not hold":
            return tuple(part for part in single if part.inside)
        return ()


def parts_of(
    book: Book, label: str, values: Values, *, low: float = -math.inf, high: float = math.inf
) -> Iterator[Part]:
    """Each network's own estimate, and the deciding one over all that have the figure.

    The deciding part is there even without a figure: what was not run leaves a claim undecided.
    """
    found = {family: seeds for family in book.families if (seeds := list(values(family)))}
    if len(found) != 1:
        for family, seeds in found.items():
            yield Part(f"{family}{label}", estimate(seeds), low, high)
    # "all" must be all: a figure of one network goes by that network's name.
    who = "all" if len(found) in (0, len(book.families)) else ", ".join(found)
    yield Part(f"{who}{label}", estimate_over(list(found.values())), low, high, "decides")


def beside(book: Book, label: str, values: Values, *, low: float = -math.inf) -> Iterator[Part]:
    """Each network's estimate, for comparison: the verdict does not rest on it."""
    for family in book.families:
        if seeds := list(values(family)):
            yield Part(f"{family}{label}", estimate(seeds), low, role="beside")
