"""Gaussian moments of activations: in closed form where there is one, else by brute force."""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp
import numpy as np

# A piece is (low, high, coefficients of 1, x, x²): what f is between two of its kinks.
Piece = tuple[float, float, tuple[float, ...]]

PIECEWISE: dict[str, list[Piece]] = {
    "identity": [(-mp.inf, mp.inf, (0, 1))],
    "relu": [(-mp.inf, 0, (0,)), (0, mp.inf, (0, 1))],
    "leaky_relu": [(-mp.inf, 0, (0, 0.01)), (0, mp.inf, (0, 1))],
    "relu6": [(-mp.inf, 0, (0,)), (0, 6, (0, 1)), (6, mp.inf, (6,))],
    "hardswish": [
        (-mp.inf, -3, (0,)),
        (-3, 3, (0, mp.mpf(1) / 2, mp.mpf(1) / 6)),
        (3, mp.inf, (0, 1)),
    ],
    "jump": [(-mp.inf, 0.3, (0,)), (0.3, mp.inf, (1,))],
    "bend": [(-mp.inf, 0.123, (0.123, -1)), (0.123, mp.inf, (-0.123, 1))],
}


def piecewise_moments(name: str, mean: float, var: float) -> tuple[float, float, float]:
    """E f, Var f and Cov(x, f) from truncated normal moments, to 400 digits.

    So many, because E[f²] − E[f]² cancels wherever f is nearly constant.
    """
    with mp.workdps(400):
        first = second = cross = mp.mpf(0)
        c, s = mp.mpf(mean), mp.sqrt(mp.mpf(var))
        for low, high, coefficients in PIECEWISE[name]:
            x = _truncated_powers((low - c) / s, (high - c) / s, c, s)
            f = [mp.mpf(a) for a in coefficients]
            first += sum(a * x[i] for i, a in enumerate(f))
            cross += sum(a * (x[i + 1] - c * x[i]) for i, a in enumerate(f))
            second += sum(a * b * x[i + j] for i, a in enumerate(f) for j, b in enumerate(f))
        return float(first), float(second - first**2), float(cross)


def _truncated_powers(low: mp.mpf, high: mp.mpf, c: mp.mpf, s: mp.mpf) -> list[mp.mpf]:
    """E[xᵏ; low < z < high] for k = 0…4 and x = c + sz, by parts: ∫zᵏφ = −[zᵏ⁻¹φ] + (k−1)∫zᵏ⁻²φ."""

    def edge(k: int) -> mp.mpf:
        return sum(
            sign * (z**k * mp.npdf(z) if mp.isfinite(z) else 0)
            for sign, z in ((1, low), (-1, high))
        )

    powers = [mp.ncdf(high) - mp.ncdf(low), edge(0)]
    for k in range(2, 5):
        powers.append(edge(k - 1) + (k - 1) * powers[k - 2])
    return [
        sum(mp.binomial(k, i) * c ** (k - i) * s**i * powers[i] for i in range(k + 1))
        for k in range(5)
    ]


def exponential_moments(mean: float, var: float) -> tuple[float, float, float]:
    """The log-normal law."""
    c, v = mp.mpf(mean), mp.mpf(var)
    first = mp.exp(c + v / 2)
    return float(first), float(first**2 * mp.expm1(v)), float(v * first)


def brute_force_moments(
    function: Callable[[np.ndarray], np.ndarray], mean: float, var: float, kinks: tuple[float, ...]
) -> tuple[float, float, float]:
    """E f, Var f and Cov(x, f) on some 3,000 equal panels of 20 points, cut at every kink."""
    point, weight = np.polynomial.legendre.leggauss(20)
    sd = np.sqrt(var)
    edges = np.union1d(np.linspace(-37, 37, 3001), (np.array(kinks) - mean) / sd)
    edges = edges[np.abs(edges) <= 37]
    half = np.diff(edges)[:, None] / 2
    z = (edges[1:, None] + edges[:-1, None]) / 2 + half * point
    w = half * weight * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    f = function(mean + sd * z)
    first = (w * f).sum()
    return float(first), float((w * (f - first) ** 2).sum()), float(sd * (w * z * f).sum())
