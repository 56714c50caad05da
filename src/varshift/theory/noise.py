"""Multiplicative noise of mean one, reduced to what the shift depends on: τ and who shares it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from varshift.errors import UsageError
from varshift.theory import _check

__all__ = [
    "Noise",
    "Sharing",
    "beta_of",
    "drop_p_of",
    "dropout",
    "gaussian",
    "keep_p_of",
    "sigma_of",
    "tau_of",
    "tau_of_beta",
    "tau_of_keep_p",
    "tau_of_sigma",
    "uout",
]

Sharing: TypeAlias = Literal["element", "channel", "sample"]
"""What shares one factor of the noise: nothing, a channel of a sample, or a whole sample.

Dropout is "element", Dropout2d "channel", stochastic depth (DropPath) "sample".
"""

# Made at import: dynamo of torch 2.4 to 2.6 skips `get_args`, so a layer that asks in its forward
# could be neither compiled whole nor exported there.
_SHARINGS: tuple[str, ...] = get_args(Sharing)


@dataclass(frozen=True)
class Noise:
    """x·ξ with E[ξ] = 1 and Var[ξ] = τ, independent of x; `sharing` says what shares one ξ.

    `element`: every value its own (Dropout). `channel`: one per sample and channel (Dropout2d).
    `sample`: one per sample (DropPath). At equal τ and sharing, Bernoulli, Gaussian and Uout noise
    shift a variance identically, since only E[ξ] and E[ξ²] enter it: "variance-stable" is a matter
    of how much noise, not of its shape.

    Attributes:
        tau: relative variance of the noise, τ.
        sharing: what shares one ξ.

    Raises:
        UsageError: a negative or infinite τ, or no such sharing.

    >>> dropout(0.5) == gaussian(1.0)
    True
    """

    tau: float
    sharing: Sharing = "element"

    def __post_init__(self) -> None:
        _check.nonnegative("tau", self.tau)
        check_sharing(self.sharing)


def check_sharing(sharing: str) -> None:
    """Refuse a sharing that is not one of the three."""
    if sharing not in _SHARINGS:
        raise UsageError(f"sharing is {sharing!r}; pass one of {', '.join(_SHARINGS)}")


def dropout(drop_p: float, sharing: Sharing = "element") -> Noise:
    """Inverted dropout: ξ is 0 with probability `drop_p`, else 1/keep_p; τ = drop_p/keep_p.

    Raises:
        UsageError: a rate outside [0, 1), or no such sharing.

    >>> dropout(0.5, "channel")
    Noise(tau=1.0, sharing='channel')
    """
    return Noise(tau_of(drop_p), sharing)


def gaussian(sigma: float, sharing: Sharing = "element") -> Noise:
    """Gaussian dropout: ξ ~ N(1, σ²); τ = σ². [srivastava2014dropout, sec. 10]

    Raises:
        UsageError: a negative or infinite σ, or no such sharing.

    >>> gaussian(0.5).tau
    0.25
    """
    return Noise(tau_of_sigma(sigma), sharing)


def uout(beta: float, sharing: Sharing = "element") -> Noise:
    """Uout: ξ = 1 + r, r ~ U(−β, β), 0 ≤ β ≤ 1; τ = β²/3. [li2019disharmony]

    Raises:
        UsageError: a β outside [0, 1], or no such sharing.

    >>> uout(0.3).tau
    0.03
    """
    return Noise(tau_of_beta(beta), sharing)


def tau_of(drop_p: float) -> float:
    """τ = drop_p/(1 − drop_p), the relative variance of inverted dropout; `drop_p` is torch's p.

    Raises:
        UsageError: a rate outside [0, 1).

    >>> tau_of(0.5)
    1.0
    """
    _check.fraction("drop_p", drop_p)
    return drop_p / (1 - drop_p)


def drop_p_of(tau: float) -> float:
    """The drop_p of equal noise, τ/(1 + τ): the inverse of `tau_of`.

    Raises:
        UsageError: a negative or infinite τ.

    >>> drop_p_of(1.0)
    0.5
    """
    _check.nonnegative("tau", tau)
    return tau / (1 + tau)


def tau_of_keep_p(keep_p: float) -> float:
    """τ = (1 − keep_p)/keep_p; `keep_p` is the paper's p. [li2019disharmony]

    Raises:
        UsageError: a keep_p outside (0, 1].

    >>> tau_of_keep_p(0.5)
    1.0
    """
    if not 0 < keep_p <= 1:
        raise UsageError(f"keep_p is {keep_p}; pass a probability in (0, 1]")
    return (1 - keep_p) / keep_p


def keep_p_of(tau: float) -> float:
    """The keep_p of equal noise, 1/(1 + τ): the inverse of `tau_of_keep_p`.

    Raises:
        UsageError: a negative or infinite τ.

    >>> keep_p_of(1.0)
    0.5
    """
    _check.nonnegative("tau", tau)
    return 1 / (1 + tau)


def tau_of_sigma(sigma: float) -> float:
    """τ = σ² of Gaussian noise N(1, σ²).

    Raises:
        UsageError: a negative or infinite σ.

    >>> tau_of_sigma(0.5)
    0.25
    """
    _check.nonnegative("sigma", sigma)
    return sigma * sigma


def sigma_of(tau: float) -> float:
    """The σ of Gaussian noise that is as large, √τ.

    Raises:
        UsageError: a negative or infinite τ.

    >>> sigma_of(tau_of(0.5))
    1.0
    """
    _check.nonnegative("tau", tau)
    return math.sqrt(tau)


def tau_of_beta(beta: float) -> float:
    """τ = β²/3 of Uout, the variance of U(−β, β); 0 ≤ β ≤ 1.

    Raises:
        UsageError: a β outside [0, 1].

    >>> tau_of_beta(1.0) == 1 / 3
    True
    """
    _check.between("beta", beta, 0, 1)
    return beta * beta / 3


def beta_of(tau: float) -> float:
    """The β of Uout noise that is as large, √(3τ).

    Raises:
        UsageError: a negative or infinite τ, or one above 1/3 (drop_p 0.25), which no β ≤ 1
            reaches.

    >>> beta_of(1 / 3)
    1.0
    """
    _check.nonnegative("tau", tau)
    beta = math.sqrt(3 * tau)
    # tau_of_beta(1.0) comes back as 1.0 or one rounding above it.
    if beta > 1 + 1e-12:
        raise UsageError(
            f"tau = {tau:g} would need beta = {beta:.4g}, but Uout stops at beta = 1 (tau = 1/3, "
            f"drop_p = 0.25); lower the noise or use gaussian(sigma={math.sqrt(tau):.4g})"
        )
    return min(beta, 1.0)
