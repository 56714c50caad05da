"""Who is noisy: the subset of sources that each sample carries in the blame pass.

Three kinds of subset are dealt: one source alone, all of them, and none (to a few samples at first,
for they show whether anything is left over, and to more of them where something is). Alone is what
blame asks for, and with the clean twin of the same sample as control it is no less precise than a
half-and-half design, whose other sources would be noise on top.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Design"]

_ALONE = 3  # cards of each source in a deck, for one card of "all" per source: a quarter is "all"


class Design:
    """Deals subsets, evenly and in random order, sample by sample or batch by batch.

    Subset s < k is source s alone, k is all sources, k + 1 is none. With one source alone and all
    are the same, and only alone is dealt.
    """

    def __init__(self, sources: list[str], *, nobody: bool, whole_batches: bool) -> None:
        self.sources = sources
        self.nobody = nobody
        self.whole_batches = whole_batches
        self._random = torch.Generator().manual_seed(0)  # the same deal for the same call
        self._deck = torch.empty(0, dtype=torch.long, device="cpu")

    @property
    def subsets(self) -> int:
        """How many kinds of subset there are, dealt or not."""
        return len(self.sources) + 2

    @property
    def all(self) -> int:
        """The subset that stands for all sources."""
        if not self.sources:  # noise there is, but none that can be silenced
            return self.none
        return len(self.sources) if len(self.sources) > 1 else 0

    @property
    def none(self) -> int:
        """The subset without any source."""
        return len(self.sources) + 1

    @property
    def least(self) -> int:
        """Batches or samples that one round through all subsets takes."""
        return len(self._full_deck())

    @property
    def share_alone(self) -> float:
        """Share of the samples that carry one certain source alone, dealt sample by sample."""
        return _ALONE / self.least

    def deal(self, samples: int, spared: int = 0) -> Tensor:
        """The subset of each of the next samples, (samples,); so many of them carry none."""
        count = 1 if self.whole_batches else samples - spared
        while len(self._deck) < count:
            self._deck = torch.cat([self._deck, self._shuffled()])
        dealt, self._deck = self._deck[:count], self._deck[count:]
        if self.whole_batches:
            return dealt.expand(samples)
        if spared:
            dealt = torch.cat([dealt, torch.full((spared,), self.none, device="cpu")])
            dealt = dealt[torch.randperm(samples, generator=self._random, device="cpu")]
        return dealt

    def active(self, source: str, dealt: Tensor) -> Tensor:
        """Which samples carry the source, (samples,) bool."""
        return (dealt == self.sources.index(source)) | (dealt == len(self.sources))

    def _shuffled(self) -> Tensor:
        deck = self._full_deck()
        return deck[torch.randperm(len(deck), generator=self._random, device="cpu")]

    def _full_deck(self) -> Tensor:
        size = len(self.sources)
        cards = list(range(size)) * (1 if self.whole_batches else _ALONE)
        if size > 1:
            cards += [self.all] * (max(1, size // 4) if self.whole_batches else size)
        if self.nobody or not size:
            cards += [self.none] * max(1, size // 2)
        return torch.tensor(cards, device="cpu")
