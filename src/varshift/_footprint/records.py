"""What one norm remembers and receives, and what noise at each place does to it. Numbers only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from varshift._footprint.passes import LEAST_LEFT, Lever

__all__ = ["NormRecord"]

_DEAD = 1e-10  # variance over the stored one, or noise energy, at which a channel is constant
_ALL_NOISE = 20.0  # times the usual lever: a channel that hardly varies without noise decides alone


@dataclass(frozen=True, eq=False)
class NormRecord:
    """What one norm remembers and what it receives while noise is put in.

    Attributes:
        stored_mean, stored_var: (C,).
        means, variances: (T, C), of T batches of `samples`; the variances unbiased.
        levers: by the number of a place, what its noise does; N/v, since noise further up changes v
            as a whole, and N with it.
        injected: by the same numbers, the τ that was put in.
        memory: the sum of squared weights of the batches that the stored values average over,
            m/(2 − m) for momentum m; None where nobody knows.
    """

    stored_mean: Tensor
    stored_var: Tensor
    means: Tensor
    variances: Tensor
    samples: Tensor
    levers: dict[int, Lever]
    injected: dict[int, float]
    memory: float | None

    @cached_property
    def live(self) -> Tensor:
        """Channels that vary, and by more than noise alone would make them, (C,) bool."""
        observed = self.share @ self.variances
        finite = torch.isfinite(self.stored_var) & torch.isfinite(observed)
        for lever in self.levers.values():
            size = lever.var.abs()
            usual = size[(size > 0) & (size < 1 / _DEAD)]
            most = _ALL_NOISE * float(usual.median()) if len(usual) else 1 / _DEAD
            finite &= size < most
        return finite & (self.stored_var > 0) & (observed > _DEAD * self.stored_var)

    @cached_property
    def share(self) -> Tensor:
        """What part of all samples each batch holds, (T,)."""
        return self.samples / self.samples.sum()

    @cached_property
    def observed(self) -> Tensor:
        """Mean of the batches' unbiased variances, the estimator that is stored, (live,)."""
        return (self.share @ self.variances)[self.live]

    @cached_property
    def quiet(self) -> Tensor:
        """What share of the variance would be left without the noise put in, (live,)."""
        put = [self.levers[each].var[self.live] * tau for each, tau in self.injected.items()]
        return 1 / (1 + sum(put, torch.zeros_like(self.observed))).clamp(min=LEAST_LEFT)

    @cached_property
    def shifted(self) -> Tensor:
        """By how much the noise put in moves each mean, (C,)."""
        put = [self.levers[each].mean * tau for each, tau in self.injected.items()]
        return sum(put, torch.zeros_like(self.stored_mean))

    def columns(self, places: Sequence[int]) -> Tensor:
        """N over the variance received, (live, places); 0 where the norm does not meet one."""
        return self._by_place(places, lambda lever: lever.var[self.live] * self.quiet)

    def tilts(self, places: Sequence[int]) -> Tensor:
        """By how much errors of `columns` and of `excess` go together, (live, places)."""
        batches = len(self.variances)
        return self._by_place(places, lambda lever: -lever.shared[self.live] * self.quiet / batches)

    def slopes(self, places: Sequence[int]) -> Tensor:
        """By how much each unit of τ of those places moves the mean, (live, places)."""
        return self._by_place(places, lambda lever: lever.mean[self.live])

    def _by_place(self, places: Sequence[int], told: Callable[[Lever], Tensor]) -> Tensor:
        found = torch.zeros(len(self.observed), len(places), dtype=torch.float64, device="cpu")
        for index, place in enumerate(places):
            if place in self.levers:
                found[:, index] = told(self.levers[place])
        return found

    def excess(self, freed: Sequence[int]) -> Tensor:
        """V/v − 1 as if no noise had been put in at the places `freed`: what theirs explains."""
        found = self.stored_var[self.live] / self.observed - 1
        return found + self.columns(freed) @ self.put(freed)

    def put(self, places: Sequence[int]) -> Tensor:
        """The τ that was put in at each of those places, (places,)."""
        return torch.tensor(
            [self.injected.get(each, 0.0) for each in places], dtype=torch.float64, device="cpu"
        )

    def scatter(self) -> Tensor:
        """Relative deviation of each batch, scaled to batches of average size, (T, live)."""
        size = (self.share * len(self.share)).sqrt()
        return (self.variances[:, self.live] / self.observed - 1) * size[:, None]
