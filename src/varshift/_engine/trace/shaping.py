"""A law followed through the arithmetic that shapes a mask.

`torch.rand(shape) < keep_p`, `torch.floor(keep_p + torch.rand(shape))`,
`torch.empty(shape).bernoulli_(keep_p).div_(keep_p)` and `1 + sigma * torch.randn(shape)` all end
as one small law whose relative variance is τ. What is not in this table becomes "unknown".
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from varshift._engine.trace.laws import UNKNOWN, Law, constant
from varshift._engine.trace.ops import OVERWRITES, Operation

__all__ = ["law_after", "law_shaped"]


def law_shaped(operation: Operation, law: Law, noise: Tensor) -> Law:
    """The law of what an operation has made of one bare draw and constants."""
    if _otherwise(operation, noise):
        return UNKNOWN
    if operation.name == "where":
        found = _where(operation, law, noise)
    elif operation.name in ("masked_fill", "index_put"):
        found = _filled(operation, law, noise)
    elif operation.name in _JOINS:
        found = law if all(each is noise for each in operation.read()) else UNKNOWN
    else:
        number, alone = _number_beside(operation, noise)
        first = bool(operation.args) and operation.args[0] is noise
        found = law_after(operation.name, law, number, first) if alone else UNKNOWN
    return _as_kept(found, noise, operation)


def _otherwise(operation: Operation, noise: Tensor) -> bool:
    """Whether it does something else than its name says alone: add(x, noise, alpha=0.5)."""
    given = [operation.argument(name) for name in ("rounding_mode", "decimals")]
    whole = operation.name == "bitwise_not" and noise.dtype != torch.bool
    scaled = operation.argument("alpha") not in (None, 1)
    return scaled or whole or any(each is not None for each in given)


def _where(operation: Operation, law: Law, noise: Tensor) -> Law:
    """`where(mask, 1.0, 0.0)`: the mask says which of two numbers it is."""
    names = ("condition", "self", "other")
    mask, *chosen = (operation.argument(name) for name in names)
    if mask is not noise or any(each is noise for each in chosen):
        return UNKNOWN
    yes, no = map(constant, chosen)
    if yes is None or no is None:
        return UNKNOWN
    return _valued(law, lambda value: yes if value else no)


def _filled(operation: Operation, law: Law, noise: Tensor) -> Law:
    """`ones.masked_fill_(mask, 0)`, `ones[mask] = 0`: the mask says where another number comes."""
    names = {"masked_fill": ("mask", "value"), "index_put": ("indices", "values")}
    where, value = (operation.argument(name) for name in names[operation.name])
    mask = where[0] if isinstance(where, (list, tuple)) and len(where) == 1 else where
    made, filled = next(iter(operation.outputs()), None), constant(value)
    if mask is not noise or made is None or made.shape != noise.shape or filled is None:
        return UNKNOWN
    if noise.dtype != torch.bool or operation.argument("accumulate"):
        return UNKNOWN
    left = constant(made[~noise])  # the target itself may be written by now
    return UNKNOWN if left is None else _valued(law, lambda value: filled if value else left)


def _number_beside(operation: Operation, noise: Tensor) -> tuple[float | None, bool]:
    """The one number beside the noise (or None), and whether nothing else is there.

    A constant tensor is one too, as the ones of `dropout(torch.ones_like(x))`.
    """
    number: float | None = None
    written = [id(target) for target in operation.written()]
    args = operation.args[1:] if operation.name in OVERWRITES else operation.args
    for value in args:
        if value is noise or isinstance(value, bool) or not isinstance(value, _NUMBERS):
            continue
        found = None if id(value) in written else constant(value)
        if found is None:
            return None, False
        if number is not None:
            return None, True
        number = found
    return number, True


def _as_kept(law: Law, noise: Tensor, operation: Operation) -> Law:
    """The law in the type of the result: `(keep_p + rand).int()` cuts what is behind the point."""
    made = next(iter(operation.outputs()), noise)
    if made.dtype == torch.bool:
        return _valued(law, lambda value: float(value != 0))
    if made.is_floating_point() or made.is_complex() or not noise.is_floating_point():
        return law
    if law.kind == "bernoulli" and made.dtype == torch.uint8 and min(law.first, law.second) < 0:
        return UNKNOWN
    return _cut(law)


def law_after(name: str, law: Law, number: float | None, noise_first: bool) -> Law:
    """The law after an elementwise step with (at most) one number.

    `noise_first`: the noise is the operation's first argument, as in `noise - 1`.
    """
    if name in _SAME:
        return law
    if name in _ALONE:
        return _ALONE[name](law)
    if number is None:
        return UNKNOWN
    if name in _COMPARE:
        return _compared(law, name, number, noise_first)
    if name not in _BINARY:
        return UNKNOWN
    step = _BINARY[name]
    if noise_first:
        return _scaled(law, lambda value: step(value, number))
    if name == "div":  # the reciprocal of a continuous law has another one
        return _valued(law, lambda value: step(number, value))
    return _scaled(law, lambda value: step(number, value))


_SAME = frozenset(
    {
        *("_to_copy", "clone", "view", "_unsafe_view", "expand", "unsqueeze", "squeeze", "alias"),
        *("detach", "reshape", "contiguous", "permute", "transpose", "t", "slice", "select"),
        *("copy", "lift_fresh", "as_strided", "broadcast_to", "_reshape_alias", "to"),
        *("repeat", "flip", "roll"),
        *(f"upsample_nearest{dims}d" for dims in (1, 2, 3)),
        *(f"_upsample_nearest_exact{dims}d" for dims in (1, 2, 3)),
    }
)
_JOINS = frozenset({"cat", "stack"})
_NUMBERS = (int, float, Tensor)
_BINARY: dict[str, Callable[[float, float], float]] = {
    "mul": lambda one, other: one * other,
    "div": lambda one, other: one / other if other else math.nan,
    "add": lambda one, other: one + other,
    "sub": lambda one, other: one - other,
    "rsub": lambda one, other: other - one,
}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": operator.eq,
    "ne": operator.ne,
}


def _valued(law: Law, step: Callable[[float], float]) -> Law:
    """After any step, of a law of which two values are all."""
    if law.kind != "bernoulli":
        return UNKNOWN
    return replace(law, first=float(step(law.first)), second=float(step(law.second)))


def _scaled(law: Law, step: Callable[[float], float]) -> Law:
    """After a linear step, which leaves every kind of law what it is."""
    if law.kind == "uniform":
        low, high = sorted((step(law.first), step(law.second)))
        return Law("uniform", low, high)
    if law.kind == "gaussian":
        mean = step(law.first)
        return Law("gaussian", mean, abs(step(law.first + law.second) - mean))
    return _valued(law, step)


def _negated(law: Law) -> Law:
    return _scaled(law, operator.neg)


def _floored(law: Law) -> Law:
    """floor(keep_p + U(0, 1)) is 1 with probability keep_p, else 0."""
    if law.kind != "uniform":
        return _whole(law, math.floor)
    cut = math.floor(law.second)
    width = law.second - law.first
    if width <= 0 or cut - math.floor(law.first) != 1:
        return UNKNOWN
    return Law("bernoulli", float(cut), float(cut - 1), max(0.0, (law.second - cut) / width))


def _rounded(law: Law) -> Law:
    if law.kind == "uniform":
        return _floored(_scaled(law, lambda value: value + 0.5))
    return _whole(law, round)


def _cut(law: Law) -> Law:
    """What lies behind the point is left away."""
    if law.kind == "uniform":
        return _floored(law) if law.first >= 0 else UNKNOWN
    return _whole(law, math.trunc)


def _whole(law: Law, step: Callable[[float], float]) -> Law:
    return _valued(law, lambda value: step(value) if math.isfinite(value) else math.nan)


def _signed(law: Law) -> Law:
    if law.kind == "bernoulli":
        return _valued(law, lambda value: (value > 0) - (value < 0))
    return _scaled(_compared(law, "gt", 0.0, True), lambda value: 2 * value - 1)


def _compared(law: Law, name: str, number: float, noise_first: bool) -> Law:
    compare = _COMPARE[name]
    if law.kind == "bernoulli":
        if noise_first:
            return _valued(law, lambda value: compare(value, number))
        return _valued(law, lambda value: compare(number, value))
    if name in ("eq", "ne"):  # a continuous law meets no number
        return UNKNOWN
    if law.kind == "uniform" and law.second > law.first:
        chance = min(max((number - law.first) / (law.second - law.first), 0.0), 1.0)
    elif law.kind == "gaussian" and law.second > 0:
        chance = 0.5 * math.erfc((law.first - number) / (law.second * math.sqrt(2)))
    else:
        return UNKNOWN
    below = (name in ("lt", "le")) == noise_first  # whether it is asked for the values below
    return Law("bernoulli", 1.0, 0.0, chance if below else 1 - chance)


# Of a continuous law `not` is a constant, and no law of that kind.
_ALONE: dict[str, Callable[[Law], Law]] = {
    "neg": _negated,
    "floor": _floored,
    "ceil": lambda law: _negated(_floored(_negated(law))),
    "round": _rounded,
    "trunc": _cut,
    "sign": _signed,
    **dict.fromkeys(("logical_not", "bitwise_not"), lambda law: _valued(law, operator.not_)),
}
