"""What is kept of passes with noise on, by the books, and of passes at test.

Numbers stay where the model is until a pass is through; then they are read once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from varshift._engine import Batch, NormCall, Recorder, channel_moments, refuse_unusable
from varshift._predict.books import GROUPS, Group, SiteBooks
from varshift._predict.ledger import Ledger, LedgerEntry
from varshift._predict.parts import Algebra, Energy, energy_at
from varshift.errors import ModelError
from varshift.theory.moments import Moments

__all__ = ["AtTest", "Books"]


class AtTest(Recorder):
    """Moments of each norm's input in evaluation passes, in the groups of `Books`.

    `at`: by path and group.
    """

    def __init__(self) -> None:
        self.at: dict[str, dict[int, Moments]] = {}
        self._passes = 0

    def begin(self, batch: Batch) -> None:
        """A pass starts."""
        self._received: list[tuple[str, Moments]] = []

    def norm(self, call: NormCall) -> None:
        """What it receives."""
        if call.path not in self.at:
            refuse_unusable(call)
        self._received.append((call.path, channel_moments(call.x)))

    def end(self, out: Any) -> None:
        """The pass is through."""
        for path, moments in self._received:
            found = _checked(path, moments, self._passes)
            _put(self.at.setdefault(path, {}), self._passes % GROUPS, found)
        self._passes += 1
        self._received = []

    def share(self) -> Any:
        """Its moments."""
        return self.at

    def joined(self, shares: list[Any]) -> None:
        """Moments of all ranks, group by group."""
        self.at = {}
        for share in shares:
            for path, groups in share.items():
                for index, moments in groups.items():
                    _put(self.at.setdefault(path, {}), index, moments)


@dataclass(frozen=True, eq=False)
class _Share:
    """One source in an input: N, its τ in this pass, its weights' floor; or where it was lost.

    N is None where no law gives it.
    """

    energy: Tensor | None
    tau: float
    floor: float | Tensor | None
    where: str


@dataclass(eq=False)
class _Arrival:
    """A norm's input in the noisy pass, still where the model is."""

    path: str
    noisy: Moments
    clean: Moments | None
    direct: Moments | None
    shares: dict[str, _Share]


class Books(Recorder):
    """What every norm receives in noisy passes; `sites` by path.

    Args:
        algebra: that of the ledgers.
        ledger: gives the one that follows the pass that runs just now.
    """

    def __init__(self, algebra: Algebra, ledger: Callable[[], Ledger | None]) -> None:
        self.sites: dict[str, SiteBooks] = {}
        self._algebra = algebra
        self._ledger = ledger
        self._passes = 0
        self._twice: set[str] | None = None  # not known before the first pass is through

    def begin(self, batch: Batch) -> None:
        """A pass starts."""
        self._arrivals: list[_Arrival] = []

    def norm(self, call: NormCall) -> None:
        """A norm's input: what is in it, and what the books say of it."""
        ledger = self._ledger()
        assert ledger is not None
        path, x, entry = call.path, call.x, ledger.completed(call.x)
        noisy = channel_moments(x)
        if entry is None:
            # A norm that runs more than once may have direct noise in another of its runs.
            zeros = torch.zeros_like(noisy.mean)
            self._arrivals.append(
                _Arrival(path, noisy, None, Moments(noisy.count, zeros, zeros), {})
            )
            return
        calm, direct = noisy, None
        if entry.clean is not None:
            calm = channel_moments(entry.clean)
            if self._twice is None or path in self._twice:
                direct = channel_moments(x - entry.clean)
        shares = self._shares(entry, ledger.taus)
        self._arrivals.append(_Arrival(path, noisy, calm, direct, shares))

    def _shares(self, entry: LedgerEntry, taus: Mapping[str, float]) -> dict[str, _Share]:
        shares = {}
        for source, part in entry.parts.items():
            energy = None if entry.clean is None else energy_at(part, self._algebra)
            floor = part.floor if isinstance(part, Energy) else None
            where = getattr(part, "where", "not followed")
            shares[source] = _Share(energy, taus.get(source, math.nan), floor, where)
        return shares

    def end(self, out: Any) -> None:
        """The pass is through."""
        for arrival in self._arrivals:
            site = self.sites.setdefault(arrival.path, SiteBooks(arrival.path))
            site.take(_entered(arrival, self._passes))
        if self._twice is None:
            self._twice = _reached_twice(self._ledger())
        self._passes += 1
        self._arrivals = []

    def share(self) -> Any:
        """Its sites."""
        return self.sites

    def joined(self, shares: list[Any]) -> None:
        """The sites of all ranks, in rank order."""
        paths = dict.fromkeys(path for sites in shares for path in sites)
        self.sites = {
            path: SiteBooks(path).joined(sites[path] for sites in shares if path in sites)
            for path in paths
        }


def _entered(arrival: _Arrival, batch: int) -> SiteBooks:
    """The books of one arrival."""
    path = arrival.path
    noisy = _checked(path, arrival.noisy, batch)
    calm = noisy if arrival.clean is None else _checked(path, arrival.clean, batch)
    nothing = Moments.empty(len(noisy.mean))
    direct = nothing if arrival.direct is None else _checked(path, arrival.direct, batch)
    group = Group(calm, noisy, direct)
    site = SiteBooks(path, {batch % GROUPS: group}, direct=arrival.clean is not None)
    for source, share in arrival.shares.items():
        if share.energy is None:
            site.lost = site.lost or f"{source}: {share.where}"
            continue
        group.energies[source] = noisy.count * share.energy.cpu()
        group.noise[source] = share.tau * group.energies[source]
        site.rates[source] = share.tau, share.tau
        if share.floor is not None:
            site.weighed = True
            site.floors[source] = float(share.floor), 1
    return site


def _reached_twice(ledger: Ledger | None) -> set[str]:
    """The sites that some source reaches directly and through a norm as well."""
    assert ledger is not None
    return {
        path
        for path, reached in ledger.routes.items()
        if any(len({trail.direct for trail in trails}) == 2 for trails in reached.values())
    }


def _checked(path: str, moments: Moments, batch: int) -> Moments:
    mean, m2 = torch.stack([moments.mean, moments.m2]).cpu()
    if not (torch.isfinite(mean).all() and torch.isfinite(m2).all()):
        raise ModelError(
            f"the input of {path!r} holds NaN or infinity in batch {batch}, though the batch "
            "itself is finite: the model overflows before it"
        )
    return Moments(moments.count, mean, m2)


def _put(groups: dict[int, Moments], index: int, moments: Moments) -> None:
    held = groups.get(index)
    groups[index] = moments if held is None else held.merge(moments)
