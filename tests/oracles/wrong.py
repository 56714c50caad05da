"""Rules that somebody has used, or could, and that must fail where the right ones pass."""

from __future__ import annotations

import math

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from varshift.theory import Moments


def ratio_without_mean(mean: Tensor, var: Tensor, tau: float) -> Tensor:
    """AutoInit: the mean² term is dropped."""
    return var / (var + tau * var)


def ratio_with_p_swapped(mean: Tensor, var: Tensor, drop_p: float) -> Tensor:
    """The paper's formula fed with torch's p."""
    return var / ((mean.square() + var) / drop_p - mean.square())


def element_energy_by_variance(x: Tensor, weight: Tensor) -> Tensor:
    """Σ w² Var[x] in place of Σ w² E[x²]."""
    return weight.square() @ x.var(0, correction=0)


def equal_correlation_energy(x: Tensor, weight: Tensor) -> Tensor:
    """‖w‖² times the average c² + v: the paper's assumption on inputs that break it."""
    return weight.square().sum(1) * x.square().mean()


def conv_energy_unpadded(x: Tensor, weight: Tensor) -> Tensor:
    """The interior only, where the layer pads."""
    return F.conv2d(x.square().mean(0)[None], weight.square())[0].mean((1, 2))


def conv_energy_everywhere(x: Tensor, weight: Tensor) -> Tensor:
    """Σ w² E[x²] with one E[x²] per channel, as if the border saw a full kernel."""
    return weight.square().sum((2, 3)) @ x.square().mean((0, 2, 3))


def merge_plain_means(a: Moments, b: Moments) -> Moments:
    """The two means averaged without their counts, the gap between them forgotten."""
    return Moments(a.count + b.count, (a.mean + b.mean) / 2, a.m2 + b.m2)


def moments_one_pass_float32(x: Tensor) -> tuple[Tensor, Tensor]:
    """E[x²] − E[x]² in float32, as fvcore merges."""
    x = x.float().movedim(1, 0).flatten(1)
    return x.mean(1), x.square().mean(1) - x.mean(1).square()


def relu_by_gauss_hermite(mean: float, var: float, points: int = 64) -> float:
    """E relu(x) by plain Gauss–Hermite across the kink."""
    z, weight = np.polynomial.hermite_e.hermegauss(points)
    values = np.maximum(mean + math.sqrt(var) * z, 0)
    return float((weight * values).sum() / weight.sum())


def angle_pdf_one_off(theta: Tensor, d: int) -> Tensor:
    """sin^{d−1} in place of sin^{d−2}: the density in one dimension more."""
    norm = math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2)) / math.sqrt(math.pi)
    return norm * theta.sin() ** (d - 1)


def rrelu_slope_var_by_square(lower: float, upper: float) -> float:
    """(u − l)²/3, the second moment about an end, in place of (u − l)²/12."""
    return (upper - lower) ** 2 / 3


def uout_ratio_of_the_seed() -> float:
    """300/301, which the seed ascribes to β = 0.01."""
    return 300 / 301


def alpha_as_dropout(mean: Tensor, var: Tensor, drop_p: float) -> Tensor:
    """AlphaDropout taken for inverted dropout."""
    return var + drop_p / (1 - drop_p) * (mean.square() + var)


def min_width_unclamped(target: float, slope: float, intercept: float) -> float:
    """The fit taken beyond d·cos²θ ≤ d."""
    return max(1.0, math.ceil((target - intercept) / slope))
