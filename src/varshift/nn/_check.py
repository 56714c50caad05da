"""What the noise layers refuse, when they are made and when they are called."""

from __future__ import annotations

import math

from varshift.errors import UsageError
from varshift.theory.noise import check_sharing

__all__ = ["check_beta", "check_number", "check_sharing", "check_sigma"]


def check_beta(beta: float) -> None:
    """Refuse what is not a number between 0 and 1."""
    check_number("beta", beta)
    if not 0 <= beta <= 1:
        raise UsageError(f"beta is {beta}; pass a number between 0 and 1")


def check_sigma(sigma: float) -> None:
    """Refuse what is not a finite number, 0 or more."""
    check_number("sigma", sigma)
    if not 0 <= sigma < math.inf:  # not `isfinite`, which `torch.compile` cannot follow
        raise UsageError(f"sigma is {sigma}; pass a number 0 or more")


def check_number(name: str, value: object) -> None:
    """Refuse what only looks like a rate: True is 1 to Python."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UsageError(f"{name} is {value!r}; pass a number")
