"""Placement (b) as the paper has it: equal c, v, ρ for all inputs, and d·cos²θ of the filter."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor

from varshift.errors import UsageError
from varshift.theory import _check
from varshift.theory.angle import d_cos2
from varshift.theory.noise import drop_p_of

__all__ = [
    "d_cos2_of_width",
    "max_drop_p_for_width",
    "max_tau_for_width",
    "min_width",
    "width_ratio",
    "width_ratio_of",
]

_Number = TypeVar("_Number", float, Tensor)


def width_ratio(mean: float, var: float, rho: float, tau: float, d_cos2: _Number) -> _Number:
    """Δ(p, d) = A / (A + τ(c² + v)) with A = v + vρ(d·cos²θ − 1).

    The paper's (v + vρ(d·cos²θ − 1)) / ((c² + v)/keep_p − c² + vρ(d·cos²θ − 1)), since 1/keep_p is
    1 + τ. Exact when all d inputs have the mean `mean`, the variance `var` and the pairwise
    correlation `rho`, and each its own mask; else `linear_noise_energy` is, with no such condition.
    `d_cos2` is d·cos²θ = (Σw)²/Σw², a float or `(filters,)`. At d·cos²θ = 1, the average of
    filters of random direction at every d, Δ is that of placement (a): width helps only as far as
    training makes d·cos²θ grow. [li2019disharmony]

    Raises:
        UsageError: a mean, variance, ρ or τ that cannot be, or A < 0: no inputs are correlated so.

    >>> width_ratio(0.0, 1.0, rho=0.5, tau=1.0, d_cos2=1.0)
    0.5
    >>> width_ratio(0.0, 1.0, rho=0.5, tau=1.0, d_cos2=5.0)
    0.75
    """
    _check_inputs(mean, var, rho)
    _check.nonnegative("tau", tau)
    signal = _signal(var, rho, d_cos2)
    return signal / (signal + tau * (mean * mean + var))


def width_ratio_of(weight: Tensor, mean: float, var: float, rho: float, tau: float) -> Tensor:
    """Δ(p, d) of each filter of `weight`, `(out, …)` -> `(out,)` float64.

    Raises:
        UsageError: as `width_ratio`; a weight that holds no filters.

    >>> width_ratio_of(torch.tensor([[1.0, 1.0], [1.0, -1.0]]), 0.0, 1.0, rho=0.5, tau=1.0).tolist()
    [0.6, 0.3333333333333333]
    """
    return width_ratio(mean, var, rho, tau, d_cos2(weight))


def max_tau_for_width(
    mean: float, var: float, rho: float, d_cos2: float, bound: float = 0.95
) -> float:
    """The largest τ that keeps Δ(p, d) ≥ bound: τ = A(1 − bound)/(bound(c² + v)).

    A is that of `width_ratio`. [li2019disharmony] Always possible; 0 where the filter sees no
    signal (A = 0).

    Raises:
        UsageError: a mean, variance or ρ that no inputs have, A < 0, or a bound outside (0, 1).

    >>> max_tau_for_width(0.0, 1.0, rho=0.5, d_cos2=1.0, bound=0.5)
    1.0
    """
    _check_inputs(mean, var, rho)
    _check.bound(bound)
    return _signal(var, rho, d_cos2) * (1 - bound) / (bound * (mean * mean + var))


def max_drop_p_for_width(
    mean: float, var: float, rho: float, d_cos2: float, bound: float = 0.95
) -> float:
    """The largest drop_p that keeps Δ(p, d) ≥ bound: τ/(1 + τ) of `max_tau_for_width`.

    Raises:
        UsageError: as `max_tau_for_width`.

    >>> max_drop_p_for_width(0.0, 1.0, rho=0.5, d_cos2=1.0, bound=0.5)
    0.5
    """
    return drop_p_of(max_tau_for_width(mean, var, rho, d_cos2, bound))


def d_cos2_of_width(d: int, slope: float, intercept: float) -> float:
    """d·cos²θ = slope·d + intercept, a fit to trained filters, kept within [0, d].

    Fits have no place outside: cos²θ is at most 1. The paper's figure gives about 0.0214d − 1.9 for
    WRN-28-10 on CIFAR-10. It is a fact about trained filters: for random ones d·cos²θ stays 1.

    >>> d_cos2_of_width(5760, 0.0214, -1.9)
    121.36399999999999
    """
    return min(max(slope * d + intercept, 0.0), float(d))


def min_width(
    mean: float,
    var: float,
    rho: float,
    tau: float,
    slope: float,
    intercept: float,
    bound: float = 0.95,
) -> float:
    """The smallest whole d with Δ(p, d) ≥ bound, where d·cos²θ is `d_cos2_of_width(d, …)`.

    `math.inf` where no width is enough: ρ = 0 (width does not enter Δ) or a slope that never
    carries d·cos²θ as far as needed.

    Raises:
        UsageError: ρ < 0, where d equally correlated inputs exist only up to d = 1 − 1/ρ and width
            cannot be asked for; as `max_tau_for_width`; a negative or infinite τ.

    >>> min_width(0.0, 1.0, rho=0.1, tau=1.0, slope=0.02, intercept=0.0)
    9050.0
    >>> min_width(0.0, 1.0, rho=0.0, tau=1.0, slope=0.02, intercept=0.0)
    inf
    """
    _check_inputs(mean, var, rho)
    _check.nonnegative("tau", tau)
    _check.bound(bound)
    if rho < 0:
        raise UsageError(
            f"rho is {rho}: that many inputs can be equally correlated only up to d = "
            f"{1 - 1 / rho:g}; pass rho from 0 to 1"
        )
    # Δ >= bound where A/v, that is 1 + ρ(d·cos²θ − 1), reaches this.
    needed = bound * tau * (mean * mean + var) / ((1 - bound) * var)
    if needed <= 1 - rho:
        return 1.0
    if rho == 0:
        return 1.0 if needed <= 1 else math.inf
    return _first_width(1 + (needed - 1) / rho, slope, intercept)


def _first_width(target: float, slope: float, intercept: float) -> float:
    """The smallest d >= 1 with min(d, slope·d + intercept) >= target, for a target above 0."""
    least = max(1, math.ceil(target))
    if slope > 0:
        return float(max(least, math.ceil((target - intercept) / slope)))
    return float(least) if slope * least + intercept >= target else math.inf


def _signal(var: float, rho: float, d_cos2: _Number) -> _Number:
    signal = var + var * rho * (d_cos2 - 1)
    if bool(torch.any(torch.as_tensor(signal, device="cpu") < 0)):
        raise UsageError(
            f"rho = {rho} and d·cos²θ give a negative output variance: d inputs cannot all be "
            "correlated that negatively; pass rho of -1/(d - 1) or more"
        )
    return signal


def _check_inputs(mean: float, var: float, rho: float) -> None:
    if not math.isfinite(mean):
        raise UsageError(f"mean is {mean}; pass a finite number")
    if not (math.isfinite(var) and var > 0):
        raise UsageError(f"var is {var}; pass a finite number above 0")
    _check.between("rho", rho, -1, 1)
