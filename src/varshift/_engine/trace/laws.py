"""The law of a tensor that is pure noise, followed through the arithmetic that shapes a mask.

`torch.rand(shape) < keep_p`, `torch.floor(keep_p + torch.rand(shape))`,
`torch.empty(shape).bernoulli_(keep_p).div_(keep_p)` and `1 + sigma * torch.randn(shape)` all end
as one small law whose relative variance is τ. What is not in this table becomes "unknown", never
a guess.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["UNKNOWN", "Law", "drawn_law", "law_after"]


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
        if self.first == 0:
            return self.chance
        return 1 - self.chance if self.second == 0 else None


UNKNOWN = Law("unknown")


def drawn_law(name: str, overload: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Law:
    """The law of a fresh draw, from the operation and its numbers."""
    numbers = [value for value in args if isinstance(value, (int, float))]
    if name in ("rand", "rand_like"):
        return Law("uniform", 0.0, 1.0)
    if name in ("randn", "randn_like"):
        return Law("gaussian", 0.0, 1.0)
    if name == "bernoulli" and overload in ("float", "p"):
        keep = kwargs.get("p", numbers[-1] if numbers else 0.5)
        return Law("bernoulli", 1.0, 0.0, float(keep))
    if name == "uniform":
        low, high = (*numbers, *(0.0, 1.0)[len(numbers) :])[:2]
        return Law("uniform", float(kwargs.get("from", low)), float(kwargs.get("to", high)))
    if name == "normal":
        mean, std = (*numbers, *(0.0, 1.0)[len(numbers) :])[:2]
        return Law("gaussian", float(kwargs.get("mean", mean)), float(kwargs.get("std", std)))
    return UNKNOWN


def law_after(name: str, law: Law, number: float | None, noise_first: bool) -> Law:
    """The law after an elementwise step with (at most) one number.

    `noise_first`: the noise is the operation's first argument, as in `noise - 1`.
    """
    if name in _SAME:
        return law
    if name in _UNARY:
        return _mapped(law, _UNARY[name])
    if name in _NOT:  # of a continuous law it is a constant, and no law of that kind
        return _mapped(law, lambda value: float(not value)) if law.kind == "bernoulli" else UNKNOWN
    if number is None:
        return UNKNOWN
    if name in _COMPARE:
        return _compared(law, _COMPARE[name], number, noise_first)
    if name in _BINARY:
        step = _BINARY[name]
        if noise_first:
            return _mapped(law, lambda value: step(value, number))
        if name == "div":
            return UNKNOWN if law.kind != "bernoulli" else _mapped(law, lambda v: step(number, v))
        return _mapped(law, lambda value: step(number, value))
    return UNKNOWN


_SAME = frozenset(
    {
        *("_to_copy", "clone", "view", "_unsafe_view", "expand", "unsqueeze", "squeeze", "alias"),
        *("detach", "reshape", "contiguous", "permute", "transpose", "t", "slice", "select"),
        *("copy", "lift_fresh", "as_strided", "broadcast_to", "_reshape_alias", "to"),
    }
)
_UNARY: dict[str, Callable[[float], float]] = {
    "neg": lambda value: -value,
    "floor": math.floor,
}
_NOT = frozenset({"logical_not", "bitwise_not"})
_BINARY: dict[str, Callable[[float, float], float]] = {
    "mul": lambda one, other: one * other,
    "div": lambda one, other: one / other if other else math.nan,
    "add": lambda one, other: one + other,
    "sub": lambda one, other: one - other,
    "rsub": lambda one, other: other - one,
}
# How a comparison reads when the noise stands on its left: is the noise below the number?
_COMPARE = {"lt": True, "le": True, "gt": False, "ge": False}


def _mapped(law: Law, step: Callable[[float], float]) -> Law:
    if law.kind == "bernoulli":
        return replace(law, first=step(law.first), second=step(law.second))
    if law.kind == "uniform":
        return _mapped_uniform(law, step)
    if law.kind == "gaussian" and step is not math.floor:
        mean = step(law.first)
        return Law("gaussian", mean, abs(step(law.first + law.second) - mean))
    return UNKNOWN


def _mapped_uniform(law: Law, step: Callable[[float], float]) -> Law:
    if step is not math.floor:
        low, high = sorted((step(law.first), step(law.second)))
        return Law("uniform", low, high)
    # floor(keep_p + U(0, 1)) is 1 with probability keep_p, else 0.
    cut = math.floor(law.second)
    width = law.second - law.first
    if width <= 0 or cut - math.floor(law.first) != 1:
        return UNKNOWN
    return Law("bernoulli", float(cut), float(cut - 1), (law.second - cut) / width)


def _compared(law: Law, below: bool, number: float, noise_first: bool) -> Law:
    if not noise_first:
        below = not below
    if law.kind == "uniform" and law.second > law.first:
        chance = min(max((number - law.first) / (law.second - law.first), 0.0), 1.0)
    elif law.kind == "gaussian" and law.second > 0:
        chance = 0.5 * math.erfc((law.first - number) / (law.second * math.sqrt(2)))
    else:
        return UNKNOWN
    return Law("bernoulli", 1.0, 0.0, chance if below else 1 - chance)
