"""What one norm has received in noisy passes: plain values, which merge over batches and ranks.

Batches are dealt into a fixed number of groups, which are left out in turn for the errors: memory
does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import Tensor

from varshift._engine import Fixed
from varshift.theory.moments import Moments, merge_all

__all__ = ["GROUPS", "Group", "SiteBooks"]

GROUPS = 16


@dataclass
class Group:
    """Some batches at a site: moments with direct noise left out, with it, of it alone.

    `energies`: by source the sum over batches of count·N, (C,) float64; `noise` that of count·τN,
    each batch with the rate at which it drew.
    """

    clean: Moments
    noisy: Moments
    direct: Moments
    energies: dict[str, Tensor] = field(default_factory=dict)
    noise: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def empty(cls, channels: int) -> Group:
        """Of no batches."""
        nothing = Moments.empty(channels)
        return cls(nothing, nothing, nothing)

    def take(self, other: Group) -> None:
        """More batches."""
        self.clean = self.clean.merge(other.clean)
        self.noisy = self.noisy.merge(other.noisy)
        self.direct = self.direct.merge(other.direct)
        for held, more in ((self.energies, other.energies), (self.noise, other.noise)):
            for source, total in more.items():
                held[source] = held.get(source, 0) + total


@dataclass
class SiteBooks:
    """Everything about one site, in plain values.

    `floors`: by source the sum over visits, and how many. `rates`: by source the least and the
    largest τ. `lost`: why no closed form gives it. `weighed`: a source reaches it through weights.
    """

    path: str
    groups: dict[int, Group] = field(default_factory=dict)
    floors: dict[str, tuple[float, int]] = field(default_factory=dict)
    rates: dict[str, tuple[float, float]] = field(default_factory=dict)
    direct: bool = False
    lost: str | None = None
    weighed: bool = False

    def take(self, other: SiteBooks) -> None:
        """What was kept of further batches, here or on another rank."""
        for index, group in other.groups.items():
            held = self.groups.setdefault(index, Group.empty(len(group.noisy.mean)))
            held.take(group)
        for source, (total, visits) in other.floors.items():
            before, count = self.floors.get(source, (0.0, 0))
            self.floors[source] = before + total, count + visits
        for source, (least, most) in other.rates.items():
            low, high = self.rates.get(source, (least, most))
            self.rates[source] = min(low, least), max(high, most)
        self.direct = self.direct or other.direct
        self.lost = self.lost or other.lost
        self.weighed = self.weighed or other.weighed

    def joined(self, others: Iterable[SiteBooks]) -> SiteBooks:
        """This and those of further ranks, in their order."""
        whole = SiteBooks(self.path)
        for part in (self, *others):
            whole.take(part)
        return whole

    def rate(self, source: str, law: float) -> float:
        """τ of a source: `law`, but where batches drew at other rates their mean, by what they did.

        With it as τ the mean noise is τ times the mean energy, taken over all channels.
        """
        least, most = self.rates.get(source, (law, law))
        if least == most:
            return law
        groups = [group for group in self.groups.values() if source in group.energies]
        energy = sum(float(group.energies[source].sum()) for group in groups)
        return sum(float(group.noise[source].sum()) for group in groups) / energy if energy else law

    def changes(self, source: str) -> bool:
        """Whether batches drew at different rates."""
        least, most = self.rates.get(source, (0.0, 0.0))
        return least != most

    def statistics(self) -> Fixed:
        """What training under this noise would store, the variance biased."""
        whole = merge_all(group.noisy for group in self.groups.values())
        return Fixed(whole.mean, whole.var(unbiased=False))
