"""Placement (b), the part that every layer shares: var_train = var_test + τ·N."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from varshift.theory import _check

__all__ = ["max_drop_p_after", "max_tau_after", "ratio_after", "train_var_after"]


def train_var_after(var_test: Tensor, energy: Tensor, tau: float) -> Tensor:
    """var_train = var_test + τ·N after weights, placement (b).

    `energy` is N, from `linear_noise_energy` or a sibling; both `(channels,)`. Exact for any input
    law and any weights, with masks independent of the input: no equal-correlation assumption.
    Both variances are those of the population of all samples and positions, about its one mean.
    N = c² + v is placement (a). A bias is added after the noise: it moves neither side.

    Raises:
        UsageError: shapes that differ, negative entries, or a negative or infinite τ.

    >>> train_var_after(torch.tensor([2.0]), torch.tensor([3.0]), tau=1.0).item()
    5.0
    """
    _check.nonnegative("tau", tau)
    _check.same_shape(var_test=var_test, energy=energy)
    _check.variance("var_test", var_test)
    _check.variance("energy", energy)
    return var_test + tau * energy


def ratio_after(var_test: Tensor, energy: Tensor, tau: float) -> Tensor:
    """Δ = var_test/(var_test + τ·N) after weights, placement (b).

    Exact where `train_var_after` is; both tensors are `(channels,)`. Never above 1; NaN where both
    variances are 0.

    Raises:
        UsageError: shapes that differ, negative entries, or a negative or infinite τ.

    >>> ratio_after(torch.tensor([2.0]), torch.tensor([3.0]), tau=2.0).item()
    0.25
    """
    return var_test / train_var_after(var_test, energy, tau)


def max_tau_after(var_test: Tensor, energy: Tensor, bound: float = 0.95) -> Tensor:
    """The largest τ that keeps Δ ≥ bound: τ = var_test(1 − bound)/(bound·N).

    The inverse of `ratio_after`; `(channels,)` in and out. Infinite where N is 0 and the channel
    lives.

    Raises:
        UsageError: shapes that differ, negative entries, or a bound outside (0, 1).

    >>> max_tau_after(torch.tensor([2.0]), torch.tensor([4.0]), bound=0.5).item()
    0.5
    """
    _check.bound(bound)
    _check.same_shape(var_test=var_test, energy=energy)
    _check.variance("var_test", var_test)
    _check.variance("energy", energy)
    return var_test * (1 - bound) / (bound * energy)


def max_drop_p_after(var_test: Tensor, energy: Tensor, bound: float = 0.95) -> Tensor:
    """The largest drop_p that keeps Δ ≥ bound: τ/(1 + τ) of `max_tau_after`.

    `(channels,)` in and out; 1 where any noise will do.

    Raises:
        UsageError: shapes that differ, negative entries, or a bound outside (0, 1).

    >>> max_drop_p_after(torch.tensor([2.0]), torch.tensor([2.0]), bound=0.5).item()
    0.5
    """
    tau = max_tau_after(var_test, energy, bound)
    return torch.where(tau.isinf(), 1.0, tau / (1 + tau))


def mean_over_samples(energy: Callable[[Tensor], Tensor], x: Tensor, at_once: int) -> Tensor:
    """The mean of an energy over the samples of `x`, some at a time: float64 copies are large."""
    parts = [
        energy(part.to(torch.float64)) * (len(part) / len(x)) for part in x.detach().split(at_once)
    ]
    return torch.stack(parts).sum(0)
