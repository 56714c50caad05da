"""AlphaDropout: noise that is neither mean-one nor purely multiplicative, with its own law.

torch computes y = a·m·x + b, with α' = −λα in place of 0 where m = 0:
    y = a(m·x + α'(1 − m)) + b,   a = 1/√(keep_p(1 + drop_p·α'²)),   b = −a·drop_p·α'.
Written about ξ = m/keep_p, which is mean-one with τ = drop_p/keep_p, that is
    y = s·((x − α')·ξ + α'),   s = a·keep_p:
dropout of the shifted input x − α', scaled by s. All laws below follow. FeatureAlphaDropout shares
m over a channel: the same laws in placement (a), and sharing="channel" in placement (b).
[klambauer2017selfnormalizing]
"""

from __future__ import annotations

import math

from torch import Tensor

from varshift.theory import _check
from varshift.theory.noise import tau_of

__all__ = [
    "ALPHA_PRIME",
    "alpha_affine",
    "alpha_mean",
    "alpha_ratio",
    "alpha_scale",
    "alpha_train_var",
    "alpha_train_var_after",
    "invert_alpha_stored",
]

ALPHA_PRIME = -1.7580993408473766
"""α′ = −λα of SELU, what a dropped value becomes; the digits torch uses."""


def alpha_affine(drop_p: float) -> tuple[float, float]:
    """The a and b of torch: a kept x becomes a·x + b, a dropped one a·α' + b.

    Raises:
        UsageError: a rate outside [0, 1).

    >>> a, b = alpha_affine(0.0)
    >>> a, abs(b)
    (1.0, 0.0)
    """
    _check.fraction("drop_p", drop_p)
    a = 1 / math.sqrt((1 - drop_p) * (1 + drop_p * ALPHA_PRIME**2))
    return a, -a * drop_p * ALPHA_PRIME


def alpha_scale(drop_p: float) -> float:
    """The scale s = a·keep_p = √(keep_p/(1 + drop_p·α'²)), at most 1: E[y] = s·E[x].

    Raises:
        UsageError: a rate outside [0, 1).

    >>> alpha_scale(0.0)
    1.0
    """
    return alpha_affine(drop_p)[0] * (1 - drop_p)


def alpha_mean(mean: Tensor, drop_p: float) -> Tensor:
    """E[y] = s·c: unlike dropout, AlphaDropout moves the mean unless it is 0.

    `mean` may have any shape.

    Raises:
        UsageError: a rate outside [0, 1).

    >>> import torch
    >>> alpha_mean(torch.zeros(1), 0.5).item()
    0.0
    """
    return alpha_scale(drop_p) * mean


def alpha_train_var(mean: Tensor, var: Tensor, drop_p: float) -> Tensor:
    """var_train = (v + drop_p(c − α')²) / (1 + drop_p·α'²), placement (a).

    s² times the law of dropout at mean c − α'; `mean`, `var` and the result are `(channels,)`. It
    equals v at c = 0, v = 1, what SELU aims at. [klambauer2017selfnormalizing]

    Raises:
        UsageError: shapes that differ, negative variances, or a rate outside [0, 1).

    >>> import torch
    >>> alpha_train_var(torch.zeros(1), torch.ones(1), 0.5).item()
    1.0
    """
    _check.fraction("drop_p", drop_p)
    _check.same_shape(mean=mean, var=var)
    _check.variance("var", var)
    return (var + drop_p * (mean - ALPHA_PRIME).square()) / (1 + drop_p * ALPHA_PRIME**2)


def alpha_ratio(mean: Tensor, var: Tensor, drop_p: float) -> Tensor:
    """Δ = v(1 + drop_p·α'²) / (v + drop_p(c − α')²), placement (a).

    `mean`, `var` and the result are `(channels,)`. Above 1 where the input is wider than SELU's or
    its mean nearer to α': the noise can also shrink a variance, which mean-one noise never does.

    Raises:
        UsageError: shapes that differ, negative variances, or a rate outside [0, 1).

    >>> import torch
    >>> alpha_ratio(torch.zeros(1), torch.full((1,), 4.0), 0.5).item() > 1
    True
    """
    return var / alpha_train_var(mean, var, drop_p)


def alpha_train_var_after(var_test: Tensor, shifted_energy: Tensor, drop_p: float) -> Tensor:
    """var_train = s²(var_test + τ·N) after weights, placement (b).

    `shifted_energy` is N of the layer at x − α', `(channels,)` as `var_test`, as
    `conv_noise_energy(x - ALPHA_PRIME, weight)` gives it; a padded zero stays without noise there,
    as it should.

    Raises:
        UsageError: shapes that differ, negative entries, or a rate outside [0, 1).

    >>> import torch
    >>> x, weight = torch.zeros(1, 1), torch.ones(1, 1)
    >>> from varshift.theory.linear import linear_noise_energy
    >>> energy = linear_noise_energy(x - ALPHA_PRIME, weight)
    >>> bool(alpha_train_var_after(torch.zeros(1), energy, 0.5) > 0)
    True
    """
    _check.same_shape(var_test=var_test, shifted_energy=shifted_energy)
    _check.variance("var_test", var_test)
    _check.variance("shifted_energy", shifted_energy)
    return alpha_scale(drop_p) ** 2 * (var_test + tau_of(drop_p) * shifted_energy)


def invert_alpha_stored(
    stored_mean: Tensor, stored_var: Tensor, drop_p: float
) -> tuple[Tensor, Tensor]:
    """(c, v) of the noise-free value from stored statistics alone, placement (a).

    From the stored mean C and variance V, `(channels,)` each, as the results: c = C/s and
    v = V(1 + drop_p·α'²) − drop_p(c − α')², negative where no input has them.

    Raises:
        UsageError: shapes that differ, negative variances, or a rate outside [0, 1).

    >>> import torch
    >>> [value.item() for value in invert_alpha_stored(torch.zeros(1), torch.ones(1), 0.5)]
    [0.0, 1.0]
    """
    _check.same_shape(stored_mean=stored_mean, stored_var=stored_var)
    _check.variance("stored_var", stored_var)
    mean = stored_mean / alpha_scale(drop_p)
    return mean, (
        stored_var * (1 + drop_p * ALPHA_PRIME**2) - drop_p * (mean - ALPHA_PRIME).square()
    )
