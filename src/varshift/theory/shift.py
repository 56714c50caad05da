"""Placement (a): the noise feeds the norm directly, with no weights on the route."""

from __future__ import annotations

import torch
from torch import Tensor

from varshift.errors import UsageError
from varshift.theory import _check
from varshift.theory.energy import max_drop_p_after, max_tau_after
from varshift.theory.noise import tau_of_beta, tau_of_keep_p

__all__ = [
    "dropout_ratio",
    "dropout_ratio_paper",
    "invert_stored",
    "max_drop_p",
    "max_tau",
    "severity",
    "train_var",
    "uout_ratio",
]


def train_var(mean: Tensor, var: Tensor, tau: float) -> Tensor:
    """var_train = v + τ(c² + v) where noise feeds the norm directly, placement (a).

    `mean` is c and `var` is v of the noise-free value, `(channels,)` each. Exact for any input law
    with finite variance and a mean-one factor independent of it; the mean stays c. It does not
    matter what shares one mask value. [li2019disharmony]

    Raises:
        UsageError: shapes that differ, negative variances, or a negative or infinite τ.

    >>> train_var(torch.tensor([1.0]), torch.tensor([2.0]), tau=1.0).item()
    5.0
    """
    _check.nonnegative("tau", tau)
    _check.same_shape(mean=mean, var=var)
    _check.variance("var", var)
    return var + tau * (mean.square() + var)


def dropout_ratio(mean: Tensor, var: Tensor, tau: float) -> Tensor:
    """Δ = v / (v + τ(c² + v)) where noise feeds the norm directly, placement (a).

    `mean` and `var` are `(channels,)`. Exact for any input law with finite variance and a mask
    independent of it. Never above 1; NaN for a dead channel, c = v = 0. Holds for any mean-one
    noise: at equal τ, Bernoulli, Gaussian and Uout shift identically. [li2019disharmony, eq. 8]

    Raises:
        UsageError: shapes that differ, negative variances, or a negative or infinite τ.

    >>> dropout_ratio(torch.tensor([0.0]), torch.tensor([1.0]), tau=1.0).item()
    0.5
    """
    return var / train_var(mean, var, tau)


def dropout_ratio_paper(mean: Tensor, var: Tensor, keep_p: float) -> Tensor:
    """Δ = v / ((c² + v)/keep_p − c²), `dropout_ratio` as the paper writes it.

    `mean` and `var` are `(channels,)`. The same number, since 1/keep_p = 1 + τ. [li2019disharmony,
    eq. 8]

    Raises:
        UsageError: shapes that differ, negative variances, or a keep_p outside (0, 1].

    >>> dropout_ratio_paper(torch.tensor([1.0]), torch.tensor([2.0]), keep_p=0.5).item()
    0.4000000059604645
    """
    tau_of_keep_p(keep_p)
    _check.same_shape(mean=mean, var=var)
    _check.variance("var", var)
    return var / ((mean.square() + var) / keep_p - mean.square())


def uout_ratio(mean: Tensor, var: Tensor, beta: float) -> Tensor:
    """Δ = v / (v + (c² + v)β²/3) for Uout, x(1 + r) with r ~ U(−β, β); 3/(3 + β²) at c = 0.

    `mean` and `var` are `(channels,)`. β = 0.1 gives 300/301 = 0.99668 at c = 0; the note this
    project starts from ascribes that to β = 0.01, a slip, which gives 30000/30001 (and it does not
    say that c = 0 is assumed). β = 0.1 is as much noise as drop_p = 0.0033: at equal τ Uout shifts
    as dropout does. [li2019disharmony]

    Raises:
        UsageError: shapes that differ, negative variances, or a β outside [0, 1].

    >>> zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    >>> abs(uout_ratio(zero, one, beta=0.1).item() - 300 / 301) < 1e-15
    True
    """
    return dropout_ratio(mean, var, tau_of_beta(beta))


def invert_stored(mean: Tensor, stored_var: Tensor, tau: float) -> Tensor:
    """The noise-free variance from stored statistics alone, v = (V − τc²)/(1 + τ), placement (a).

    `mean` is c and `stored_var` V, `(channels,)` each, and so is the result. The inverse of
    `train_var`; c is the stored mean, which mean-one noise leaves alone. Negative
    where V < τc²: no input under this noise has such statistics, so they arose otherwise (other
    noise, too few batches, a later change). It is not clamped: a clamp would hide that.

    Raises:
        UsageError: shapes that differ, negative variances, or a negative or infinite τ.

    >>> invert_stored(torch.tensor([1.0]), torch.tensor([5.0]), tau=1.0).item()
    2.0
    """
    _check.nonnegative("tau", tau)
    _check.same_shape(mean=mean, stored_var=stored_var)
    _check.variance("stored_var", stored_var)
    return (stored_var - tau * mean.square()) / (1 + tau)


def severity(ratio: Tensor) -> Tensor:
    """max(Δ, 1/Δ), 1 or more: how far apart train and test are, whichever is larger.

    `ratio` is Δ, any shape; infinite where Δ is 0.

    Raises:
        UsageError: negative ratios.

    >>> severity(torch.tensor([0.5, 1.0, 2.0])).tolist()
    [2.0, 1.0, 2.0]
    """
    if bool((ratio < 0).any()):
        raise UsageError("ratio has negative entries; pass var_test/var_train")
    return torch.maximum(ratio, 1 / ratio)


def max_tau(mean: Tensor, var: Tensor, bound: float = 0.95) -> Tensor:
    """The largest τ that keeps Δ ≥ bound: τ = v(1 − bound)/(bound(c² + v)), placement (a).

    `mean` and `var` are `(channels,)`, and so is the result; the least of it suits all channels.

    Raises:
        UsageError: shapes that differ, negative variances, or a bound outside (0, 1).

    >>> max_tau(torch.tensor([0.0]), torch.tensor([1.0]), bound=0.5).item()
    1.0
    """
    _check.same_shape(mean=mean, var=var)
    return max_tau_after(var, mean.square() + var, bound)


def max_drop_p(mean: Tensor, var: Tensor, bound: float = 0.95) -> Tensor:
    """The largest drop_p that keeps Δ ≥ bound, placement (a); at c = 0 it is 1 − bound.

    τ/(1 + τ) of `max_tau`; `mean`, `var` and the result are `(channels,)`.

    Raises:
        UsageError: shapes that differ, negative variances, or a bound outside (0, 1).

    >>> max_drop_p(torch.tensor([0.0]), torch.tensor([1.0]), bound=0.5).item()
    0.5
    """
    _check.same_shape(mean=mean, var=var)
    return max_drop_p_after(var, mean.square() + var, bound)
