"""I_x(1/2, b), the regularised incomplete beta function, for a whole or half b of any size.

Plain floats: torch has no incomplete beta, and one value takes some tens of steps.
"""

from __future__ import annotations

import math

# ln Γ(z + 1/2)/Γ(z) = ln(z)/2 − 1/(8z) + 1/(192z³) − …; to 1e-16 from z = 10. [dlmf, 5.11.8]
_STIRLING = (-1 / 8, 1 / 192, -1 / 640, 17 / 14336, -31 / 18432, 691 / 180224)
_TINY = 1e-300
_WIDE = 1e6  # from which b Student's t is next to normal; 1 - x of the fraction loses digits there


def log_gamma_half_step(z: float) -> float:
    """Log of Γ(z + 1/2)/Γ(z). A difference of two `lgamma` loses nine digits at z = 1e6."""
    if z < 10:
        return math.lgamma(z + 0.5) - math.lgamma(z)
    return 0.5 * math.log(z) + sum(c / z ** (2 * k + 1) for k, c in enumerate(_STIRLING))


def half_incomplete_beta(x: float, b: float) -> float:
    """I_x(1/2, b) on [0, 1]; NaN where x is. [dlmf, 8.17.22]"""
    if math.isnan(x):
        return math.nan
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if b >= _WIDE:
        return _nearly_normal(x, b)
    # ln x^(1/2) (1 − x)^b / B(1/2, b), with B(1/2, b) = √π Γ(b)/Γ(b + 1/2).
    log_front = (
        0.5 * math.log(x) + b * math.log1p(-x) + log_gamma_half_step(b) - 0.5 * math.log(math.pi)
    )
    # The fraction converges fast on one side of the mean only; the other side by symmetry.
    if x < 1.5 / (b + 2.5):
        return math.exp(log_front) / (0.5 * _fraction(x, 0.5, b))
    return 1 - math.exp(log_front) / (b * _fraction(1 - x, b, 0.5))


def _nearly_normal(x: float, b: float) -> float:
    """P(|T| ≤ t) of Student's t with ν = 2b degrees of freedom, t² = νx/(1 − x), in powers of 1/ν.

    To 1e-16 from ν = 2e6, with Fisher's first two terms beside the normal law's.
    [abramowitz1964handbook, 26.7.8]
    """
    nu = 2 * b
    t = math.sqrt(nu * x / (1 - x))
    if t > 40:  # where 1 is the nearest float
        return 1.0
    square = t * t
    first = (square + 1) / (4 * nu)
    second = (((3 * square - 7) * square - 5) * square - 3) / (96 * nu * nu)
    density = math.exp(-square / 2) / math.sqrt(2 * math.pi)
    return math.erf(t / math.sqrt(2)) - 2 * density * t * (first + second)


def _fraction(x: float, a: float, b: float) -> float:
    """1 + d₁/(1 + d₂/(1 + …)) of I_x(a, b), by Lentz's method as Thompson and Barnett mend it."""
    value, c, d = 1.0, 1.0, 0.0
    for n in range(1, 100_000):
        m = n // 2
        if n % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / (1 + term * d or _TINY)
        c = 1 + term / c or _TINY
        value *= c * d
        if abs(c * d - 1) < 1e-16:
            return value
    raise ArithmeticError(f"the incomplete beta fraction does not settle at x={x}, a={a}, b={b}")
