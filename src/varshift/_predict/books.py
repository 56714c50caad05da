"""What one site has received in a predicted pass, batch after batch, and the figures made of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from varshift._engine.normcall import Fixed
from varshift._predict.ledger import Entry
from varshift._predict.parts import Algebra, Energy, energy_at
from varshift.errors import ModelError
from varshift.results.expected import Expected, How, median, noise_var
from varshift.theory.jackknife import jackknife_error
from varshift.theory.moments import Moments, merge_all

__all__ = ["SiteBooks"]

_GROUPS = 16


@dataclass
class _Group:
    """Some batches: moments with direct noise left out, with it, at test; energies by source."""

    clean: list[Moments] = field(default_factory=list)
    noisy: list[Moments] = field(default_factory=list)
    test: list[Moments] = field(default_factory=list)
    direct: list[Moments] = field(default_factory=list)
    energies: dict[str, list[tuple[int, Tensor]]] = field(default_factory=dict)


@dataclass
class SiteBooks:
    """Everything about one site; `taus` are those of the sources that follow a law to it.

    `twice`: a source reaches it directly and through a norm as well (a residual stream). Its direct
    part and what passed the norm then move together, and that covariance is drawn.
    """

    path: str
    twice: bool = False
    groups: dict[int, _Group] = field(default_factory=dict)
    taus: dict[str, float] = field(default_factory=dict)
    floors: dict[str, list[float]] = field(default_factory=dict)
    direct: bool = False
    lost: str | None = None
    weighed: bool = False

    def arrive(
        self,
        batch: int,
        x: Tensor,
        entry: Entry | None,
        algebra: Algebra,
        laws: Mapping[str, float],
    ) -> None:
        """The site's input in the pass with noise on."""
        group = self._group(batch)
        moments = self._moments(batch, x)
        group.noisy.append(moments)
        if entry is None:
            group.clean.append(moments)
            return
        self.direct = True
        group.clean.append(moments if entry.clean is None else self._moments(batch, entry.clean))
        if self.twice and entry.clean is not None:
            group.direct.append(self._moments(batch, x - entry.clean))
        for source, part in entry.parts.items():
            energy = energy_at(part, algebra)
            if energy is None or entry.clean is None:
                self.lost = self.lost or f"{source}: {getattr(part, 'where', 'not followed')}"
                continue
            if isinstance(part, Energy):
                self.weighed = True
                self.floors.setdefault(source, []).append(part.floor)
            self.taus[source] = laws[source]
            group.energies.setdefault(source, []).append((moments.count, energy))

    def arrive_at_test(self, batch: int, x: Tensor) -> None:
        """The site's input in evaluation mode."""
        self._group(batch).test.append(self._moments(batch, x))

    def _moments(self, batch: int, x: Tensor) -> Moments:
        moments = Moments.of(x)
        if not (torch.isfinite(moments.mean).all() and torch.isfinite(moments.m2).all()):
            raise ModelError(
                f"the input of {self.path!r} holds NaN or infinity in batch {batch}, though the "
                "batch itself is finite: the model overflows before it"
            )
        return moments

    def statistics(self) -> Fixed:
        """What training under this noise would store, the variance biased."""
        whole = merge_all(m for group in self.groups.values() for m in group.noisy)
        return Fixed(whole.mean, whole.var(unbiased=False))

    def _group(self, batch: int) -> _Group:
        return self.groups.setdefault(batch % _GROUPS, _Group())

    def expected(self, carried: bool, samples: int) -> Expected:
        """The figures, with a band of two standard errors by the jackknife over batches."""
        everything = list(self.groups.values())
        test, train, signal, energies = self._variances(everything)
        delta = _delta(test, train)
        shift = median(delta)
        without = self._without_each(everything, delta)
        medians = torch.tensor([median(row) for row in without], dtype=torch.float64)
        error = float(jackknife_error(medians))
        how: How = "carried" if carried else "no noise"
        if self.direct:
            how = "sampled" if self.lost else "law (b)" if self.weighed else "law (a)"
        return Expected(
            path=self.path,
            low=shift - 2 * error,
            high=shift + 2 * error,
            delta=delta,
            how=how,
            var_test=test,
            var_train=train,
            signal=signal,
            energies={} if self.lost else energies,
            taus={} if self.lost else dict(self.taus),
            samples=samples,
            floors={source: sum(seen) / len(seen) for source, seen in self.floors.items()},
            delta_se=jackknife_error(without),
        )

    def _variances(self, groups: list[_Group]) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        test = merge_all(m for group in groups for m in group.test).var()
        signal = merge_all(m for group in groups for m in group.clean).var()
        energies = {source: _mean(groups, source) for source in self.taus}
        if self.lost:
            return test, merge_all(m for g in groups for m in g.noisy).var(), signal, energies
        train = signal + noise_var(energies, self.taus, signal)
        return test, train + self._together(groups, signal), signal, energies

    def _together(self, groups: list[_Group], signal: Tensor) -> Tensor:
        """Twice the covariance of the direct noise with the rest, as far as it is not 0 by law."""
        direct = [m for group in groups for m in group.direct]
        if not direct:
            return torch.zeros_like(signal)
        whole = merge_all(m for group in groups for m in group.noisy).var()
        return whole - signal - merge_all(direct).var()

    def _without_each(self, groups: list[_Group], like: Tensor) -> Tensor:
        """Δ of all groups but one, for each one: (G, C)."""
        if len(groups) < 2:  # nothing is left when one is left out
            return torch.full_like(like, math.nan)[None]
        rows = []
        for left_out in range(len(groups)):
            test, train, _, _ = self._variances(groups[:left_out] + groups[left_out + 1 :])
            rows.append(_delta(test, train))
        return torch.stack(rows)


def _mean(groups: list[_Group], source: str) -> Tensor:
    """Mean over all values, those of batches that the source did not reach included."""
    held = [pair for group in groups for pair in group.energies.get(source, [])]
    count = sum(m.count for group in groups for m in group.noisy)
    total: Tensor = sum((n * energy for n, energy in held), torch.zeros(1, dtype=torch.float64))
    return total / max(count, 1)


def _delta(test: Tensor, train: Tensor) -> Tensor:
    return torch.where((test > 0) & (train > 0), test / train, torch.nan)
