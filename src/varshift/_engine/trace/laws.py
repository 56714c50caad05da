"""The law of the values of a tensor that is pure noise, and that of a fresh draw.

What is not in this table is "unknown", never a guess.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from varshift._engine.trace.ops import Operation

__all__ = ["UNKNOWN", "Law", "constant", "drawn_law"]


@dataclass(frozen=True)
class Law:
    """A distribution of single values.

    "bernoulli": `first` with probability `chance`, else `second`. "uniform": from `first` to
    `second`. "gaussian": mean `first`, standard deviation `second`.
    """

    kind: str
    first: float = 0.0
    second: float = 0.0
    chance: float = 0.0

    @property
    def mean(self) -> float:
        """Expected value, NaN where unknown."""
        if self.kind == "bernoulli":
            return self.chance * self.first + (1 - self.chance) * self.second
        if self.kind == "uniform":
            return (self.first + self.second) / 2
        return self.first if self.kind == "gaussian" else math.nan

    @property
    def var(self) -> float:
        """Variance, NaN where unknown."""
        if self.kind == "bernoulli":
            return self.chance * (1 - self.chance) * (self.first - self.second) ** 2
        if self.kind == "uniform":
            return (self.second - self.first) ** 2 / 12
        return self.second**2 if self.kind == "gaussian" else math.nan

    @property
    def tau(self) -> float | None:
        """Relative variance as a multiplier; None where unknown or of mean zero."""
        tau = self.var / self.mean**2 if self.mean else math.nan
        return tau if math.isfinite(tau) else None

    @property
    def ends(self) -> tuple[float, float] | None:
        """Values at, or next to, the two ends of what it can draw; None where unknown."""
        if self.kind == "bernoulli" and 0 < self.chance < 1:
            return min(self.first, self.second), max(self.first, self.second)
        if self.kind == "uniform":
            near = (self.second - self.first) * 2.0**-20  # the upper end itself is never drawn
            return self.first, self.second - near
        if self.kind == "gaussian":
            return self.first - 5 * self.second, self.first + 5 * self.second
        return None

    @property
    def drop_p(self) -> float | None:
        """Probability of an exact zero of a two-valued law."""
        if self.kind != "bernoulli":
            return None
        if self.first != 0:
            return 1 - self.chance if self.second == 0 else None
        return self.chance if self.second != 0 else 1.0


UNKNOWN = Law("unknown")


def drawn_law(operation: Operation) -> Law:
    """The law of a fresh draw, from the operation and its numbers."""
    name, given = operation.name, operation.argument
    if name in ("rand", "rand_like"):
        return Law("uniform", 0.0, 1.0)
    if name in ("randn", "randn_like"):
        return Law("gaussian", 0.0, 1.0)
    if name == "bernoulli":
        # `bernoulli(chances)`, where the draw itself is no in-place one.
        keep = _number(given("p") if operation.has("p") else given("self"), 0.5)
        return UNKNOWN if keep is None else Law("bernoulli", 1.0, 0.0, keep)
    if name == "uniform":
        return _between("uniform", given("from"), given("to"))
    if name == "normal":
        return _between("gaussian", given("mean"), given("std"))
    if name in ("randint", "randint_like"):
        low, high = _number(given("low"), 0.0), _number(given("high"), math.nan)
        two = low is not None and high == low + 2
        return Law("bernoulli", low + 1, low, 0.5) if low is not None and two else UNKNOWN
    return UNKNOWN


def _between(kind: str, first: Any, second: Any) -> Law:
    """A law of two numbers, 0 and 1 where they are left out."""
    one, two = _number(first, 0.0), _number(second, 1.0)
    return UNKNOWN if one is None or two is None else Law(kind, one, two)


def constant(value: Any) -> float | None:
    """The number that it is, or that a tensor holds in every place; None where there is none."""
    if isinstance(value, (int, float)):
        return float(value)
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_complex():
        return None
    if value.is_quantized or not value.numel():
        return None
    first = value.reshape(-1)[0]
    return _written(first) if bool((value == first).all()) else None


def _written(number: Tensor) -> float:
    """The shortest number that this type keeps as it stands: 0.7, not 0.699999988."""
    short = number.dtype in (torch.float32, torch.float16)
    return float(str(number.cpu().numpy()[()])) if short else float(number)


def _number(value: Any, default: float) -> float | None:
    return default if value is None else constant(value)
