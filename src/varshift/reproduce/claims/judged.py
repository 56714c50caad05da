"""A claim, how it is put to the test, and what the records say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from varshift.reproduce.book import Book
from varshift.reproduce.claims import depth, harm, repairs, sizes, widths
from varshift.reproduce.estimates import Part, Word

__all__ = ["CLAIMS", "Claim", "Verdict", "judged"]


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


def judged(book: Book) -> list[Verdict]:
    """Every claim, put to the records of one data set.

    A claim holds where all its deciding parts do, does not where one of them does not, and is not
    decided otherwise: too few seeds, too small an effect, or something that was not run.
    """
    return [_verdict(claim, book) for claim in CLAIMS]


def _verdict(claim: Claim, book: Book) -> Verdict:
    parts = tuple(claim.parts(book))
    words = {part.word for part in parts if part.role == "decides"}
    word: Word = "not decided"
    if "does not hold" in words:
        word = "does not hold"
    elif words == {"holds"}:
        word = "holds"
    return Verdict(claim, word, parts)


CLAIMS = (
    Claim(
        *("i", "The shift grows with the drop rate, in (a) and in (b)."),
        "Figure 4",
        "difference of the mean shift ratio between two drop rates; above 0",
        sizes.grows_with_rate,
    ),
    Claim(
        *("ii", "Dropout-(a) shifts more than Dropout-(b)."),
        "Figure 4",
        "mean shift ratio at (a) less that at (b), drop 0.5; above 0",
        sizes.direct_shifts_more,
    ),
    Claim(
        *("iii", "Norms hit directly show 1/keep_p, and the law's term c²/v."),
        "equation 8, Figure 4",
        "train over test variance, relative to 1/keep_p, between 0.8 and 1.25; and by how much "
        "the law with c²/v misses less (log), above 0",
        depth.direct_law,
    ),
    Claim(
        *("iv", "The shift grows with depth."),
        "Figure 4",
        "slope of log max(r, 1/r) over relative depth, from the first norm that dropout feeds on, "
        "at norms it does not feed but through other norms; above 0",
        depth.grows_with_depth,
    ),
    Claim(
        *("v", "The test error grows with the shift."),
        "Figure 4",
        "rank correlation of mean shift ratio and test error over the drop rates of a network; "
        "and of the shift and what evaluation mode adds to the error on training images; above 0",
        repairs.error_follows_shift,
    ),
    Claim(
        *("vi", "Adjusting the statistics recovers part of what (a) lost, not all."),
        "Table 3",
        "points of test error won by adjusting (live), above 0; points still lost against no "
        "dropout, above 0; (a) 0.5. Beside it: what is lost against the average of noisy passes, "
        "and what adjusting wins at (b)",
        repairs.adjusting_recovers,
    ),
    Claim(
        *("vii", "Width reduces the shift; d·cos²θ grows with d beyond its random null."),
        "Figure 3, Table 1",
        "ratio at (b) of the widest less that of the narrowest network, below 0; mean d·cos²θ of "
        "k×k filters, above 1; its slope over d among filters of one kernel size, above 0",
        widths.width_helps,
    ),
    Claim(
        *("viii", "One dropout after all norms does not hurt."),
        "Table 4",
        "points of test error against no dropout; below the margin (one point, or a tenth of the "
        "error without noise where that is less)",
        harm.head_is_harmless,
    ),
    Claim(
        *("ix", "Uout with β ≤ 0.5 does not hurt; at equal τ no noise is better than another."),
        "Table 6; the second half is this project's",
        "points of test error against no dropout, below the margin; differences between three "
        "noises of one τ, within the margin",
        harm.uout_is_harmless,
    ),
    Claim(
        *("x", "Training images themselves are classified worse in evaluation mode."),
        "Figure 5",
        "points of error on training images, evaluation less noise on; (a) 0.5; above 0",
        repairs.training_suffers,
    ),
)
