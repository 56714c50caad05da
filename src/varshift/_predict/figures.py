"""What follows at one site from what it received with noise on and at test."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from varshift._predict.books import Group, SiteBooks
from varshift._predict.recorders import AtTest
from varshift.results import Expected, Structure
from varshift.results.expected import How, noise_var
from varshift.theory.halves import balanced_halves, student_factor
from varshift.theory.moments import Moments, merge_all
from varshift.theory.spread import median, medians

__all__ = ["Figures", "Scatter", "figures_of"]

_ROUNDING = 1e-9  # of a number of degrees of freedom


@dataclass(frozen=True, eq=False)
class Scatter:
    """Relative errors, as far as groups of batches show them; NaN below two groups.

    From halves, as in `measure`: a median over channels moves too little where one group is left
    out.

    Attributes:
        channels: (C,) that of Δ.
        middle: that of its median.
        freedom: degrees of freedom of both, by the groups' sizes.
    """

    channels: Tensor
    middle: float
    freedom: float

    @property
    def factor(self) -> float:
        """Student's: so few groups show their own scatter badly."""
        return student_factor(self.freedom) if self.freedom > 0 else math.nan


@dataclass(eq=False)
class Figures:
    """The arithmetic of one site.

    Attributes:
        site: what it received with noise on.
        test: what it received at test, by group; or its variance there, (C,), if that is known.
        laws: τ by source, of those that have a law.
        twice: whether a source reaches it directly and through a norm as well (a residual stream).
            Its direct part and what passed the norm then move together, and that covariance is
            drawn.
        carried: whether noise reaches it through other norms.
        samples: how many there were.
    """

    site: SiteBooks
    test: Mapping[int, Moments] | Tensor
    laws: Mapping[str, float]
    twice: bool
    carried: bool
    samples: int

    def __post_init__(self) -> None:
        groups = self.site.groups.values()
        sources = dict.fromkeys(source for group in groups for source in group.energies)
        self.taus = {
            source: self.site.rate(source, self.laws[source])
            for source in sources
            if source in self.laws
        }
        self._unknown = [source for source in sources if source not in self.laws]

    @property
    def lost(self) -> str | None:
        """Why no closed form gives it; or None."""
        if self.site.lost is None and self._unknown:
            return f"{self._unknown[0]}: a noise whose law is not known in closed form"
        return self.site.lost

    def expected(self) -> Expected:
        """The figures, with a band of two standard errors, which halves of the groups show."""
        test, train, signal, energies = self._variances(self._everything)
        delta = _delta(test, train)
        shift = median(delta)
        scatter = self.scatter
        error = scatter.middle * scatter.factor
        floors = self.site.floors.items()
        return Expected(
            path=self.site.path,
            low=shift * math.exp(-2 * error),
            high=shift * math.exp(2 * error),
            delta=delta,
            how=self._how(),
            var_test=test,
            var_train=train,
            signal=signal,
            energies={} if self.lost else energies,
            taus={} if self.lost else self.taus,
            samples=self.samples,
            floors={source: total / visits for source, (total, visits) in floors},
            delta_se=delta * scatter.channels * scatter.factor,
        )

    def _how(self) -> How:
        if not self.site.direct:
            return "carried" if self.carried else "no noise"
        return "sampled" if self.lost else "law (b)" if self.site.weighed else "law (a)"

    def _tested(self) -> Iterable[int]:
        return () if isinstance(self.test, Tensor) else self.test

    def _var_at_test(self, indices: list[int]) -> Tensor:
        if isinstance(self.test, Tensor):
            return self.test
        return merge_all(self.test[index] for index in indices if index in self.test).var()

    def _variances(self, indices: list[int]) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        groups = [self.site.groups[index] for index in indices if index in self.site.groups]
        test = self._var_at_test(indices)
        signal = merge_all(group.clean for group in groups).var()
        energies = {source: self._energy(groups, source) for source in self.taus}
        if self.lost:
            return test, merge_all(group.noisy for group in groups).var(), signal, energies
        train = signal + noise_var(energies, self.taus, signal)
        return test, train + self._together(groups, signal), signal, energies

    def _energy(self, groups: list[Group], source: str) -> Tensor:
        """N; where batches drew at different rates, what gives the noise of all by their mean."""
        if not self.site.changes(source):
            return _mean(groups, [group.energies for group in groups], source)
        return _mean(groups, [group.noise for group in groups], source) / self.taus[source]

    def _together(self, groups: list[Group], signal: Tensor) -> Tensor:
        """Twice the covariance of the direct noise with the rest, as far as it is not 0 by law."""
        direct = merge_all(group.direct for group in groups)
        if not self.twice or not direct.count:
            return torch.zeros_like(signal)
        whole = merge_all(group.noisy for group in groups).var()
        return whole - signal - direct.var()

    @cached_property
    def _everything(self) -> list[int]:
        return [*dict.fromkeys([*self.site.groups, *self._tested()])]

    @cached_property
    def scatter(self) -> Scatter:
        """How Δ and its median differ over halves of the groups."""
        indices = self._everything
        counts = [self.site.groups[i].noisy.count if i in self.site.groups else 0 for i in indices]
        shares = torch.tensor(counts, dtype=torch.float64, device="cpu") / max(sum(counts), 1)
        freedom = float(1 / shares.square().sum()) - 1
        test, train, _, _ = self._variances(indices)
        delta = _delta(test, train)
        if not freedom > _ROUNDING:
            return Scatter(torch.full_like(delta, math.nan), math.nan, math.nan)
        halves = balanced_halves(len(indices))
        part = halves.double() @ shares
        scale = part / (1 - part)
        rows = torch.stack([self._delta_of(indices, half) for half in halves])
        squares = (rows / delta).log().square() * scale[:, None]
        middle = (medians(rows) / median(delta)).log().square() * scale
        return Scatter(squares.nanmean(0).sqrt(), float(middle.nanmean().sqrt()), freedom)

    def _delta_of(self, indices: list[int], half: Tensor) -> Tensor:
        taken = [index for index, is_in in zip(indices, half.tolist(), strict=True) if is_in]
        test, train, _, _ = self._variances(taken)
        return _delta(test, train)


def _mean(groups: list[Group], sums: list[dict[str, Tensor]], source: str) -> Tensor:
    """Mean over all values, those of batches that the source did not reach included."""
    count = sum(group.noisy.count for group in groups)
    zero = torch.zeros(1, dtype=torch.float64, device="cpu")
    total = sum((held[source] for held in sums if source in held), zero)
    return total / max(count, 1)


def _delta(test: Tensor, train: Tensor) -> Tensor:
    return torch.where((test > 0) & (train > 0), test / train, torch.nan)


def figures_of(
    sites: Mapping[str, SiteBooks],
    test: AtTest | Mapping[str, Tensor],
    structure: Structure,
    laws: Mapping[str, float],
    samples: int,
    *,
    anywhere: bool,
) -> dict[str, Figures]:
    """Of every site that was met at test too; `anywhere`: noise stands where the model has none."""
    through = {route.norm for route in structure.routes if not route.direct}
    twice = {r.norm for r in structure.routes if r.direct and "through-norm" in r.placements}
    return {
        path: Figures(
            site=site,
            test=tested,
            laws=laws,
            twice=path in twice,
            carried=path in through or anywhere,
            samples=samples,
        )
        for path, site in sites.items()
        if (tested := _tested(test, path, site)) is not None
    }


def _tested(
    test: AtTest | Mapping[str, Tensor], path: str, site: SiteBooks
) -> Mapping[int, Moments] | Tensor | None:
    """What is known of a site at test; None where too little is."""
    if not isinstance(test, AtTest):
        return test.get(path)
    groups = test.at.get(path, {})
    return groups if site.groups.keys() <= groups.keys() else None
