"""E f(x) and Var f(x) for Gaussian x and any elementwise f: one routine, no rule per activation.

The axis is cut into panels at fixed points of z = (x − mean)/σ and at the kinks of the common
activations; each panel carries a 16-point Gauss–Legendre rule. A panel is halved for as long as
its halves disagree with it: unknown kinks and jumps are closed in on, for all channels at once.
Gauss–Hermite would be shorter, but at a kink it converges like 1/n.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor

from varshift.errors import UsageError
from varshift.theory import _check

__all__ = ["KINKS", "gaussian_covariance", "gaussian_moments"]

KINKS = (-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0)
"""Where torch's activations are not smooth, at their default parameters.

ReLU and its family 0, hardtanh ±1, softshrink and hardshrink ±0.5, hardswish and hardsigmoid ±3,
relu6 6.
"""

_POINTS = 16
# exp(−z²/2) is a normal float up to here; what lies beyond has a weight of 1e-307.
_REACH = 37.5
_CUTS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 13.0, 17.0, 22.0, 29.0, _REACH)
_EPS = torch.finfo(torch.float64).eps
# Halving [0, 1] this often leaves nothing between two floats.
_MAX_ROUNDS = 60
# A kink keeps one panel unsettled, the rounding noise of f keeps twice as many each round. Where
# there are this many, the channel's tolerance is loosened until the noise is below it. Past
# _SUSPECT f may also be wrong by ε·|x|, as gelu is far left of 0; past _HOPELESS it is random.
_MAX_PANELS = 200
_TOLERANCE, _SUSPECT, _HOPELESS = 1e-13, 1e-10, 1e-6
_CHANNELS_AT_ONCE = 256

_Function = Callable[[Tensor], Tensor]
# (channel, low, high) of some panels -> their integrals, one row each
_Rule = Callable[[Tensor, Tensor, Tensor], Tensor]


def gaussian_moments(
    function: Callable[[Tensor], Tensor],
    mean: Tensor,
    var: Tensor,
    kinks: Sequence[float] = KINKS,
) -> tuple[Tensor, Tensor]:
    """(E f(x), Var f(x)) for x ~ N(mean, var), channel by channel.

    `function` maps a tensor to one of the same shape, element by element and without randomness;
    `mean` and `var` have one shape, any; so have the results, in their dtype. Integrated in float64
    to a relative 1e-10 where float64 can express it: `function` itself must be that accurate, and
    E[f²] must gather within 37.5 deviations, else NaN (for `exp` at mean 0 from a var between 225
    and 230 on). `kinks`
    are points of x worth a cut; unknown ones only cost time. A var of 0 gives f(mean) and 0.
    Raises UsageError for shapes that differ, negative variances and functions that do not settle.

    >>> first, second = gaussian_moments(torch.relu, torch.zeros(1), torch.ones(1))
    >>> round(first.item(), 6), round(second.item(), 6)  # 1/√(2π), 1/2 − 1/(2π)
    (0.398942, 0.340845)
    """
    first, second, _ = _integrate(function, mean, var, kinks)
    return first, second


def gaussian_covariance(
    function: Callable[[Tensor], Tensor],
    mean: Tensor,
    var: Tensor,
    kinks: Sequence[float] = KINKS,
) -> Tensor:
    """Cov(x, f(x)) for x ~ N(mean, var); arguments, shapes and errors of `gaussian_moments`.

    Divided by `var` it is E[f′(x)], the gain of f's best linear fit. [stein1981estimation]

    >>> round(gaussian_covariance(torch.relu, torch.zeros(1), torch.ones(1)).item(), 6)
    0.5
    """
    return _integrate(function, mean, var, kinks)[2]


def _integrate(
    function: _Function, mean: Tensor, var: Tensor, kinks: Sequence[float]
) -> tuple[Tensor, Tensor, Tensor]:
    _check.same_shape(mean=mean, var=var)
    _check.variance("var", var)
    if not (mean.is_floating_point() and var.is_floating_point()):
        raise UsageError(f"mean is {mean.dtype}, var {var.dtype}; pass floating point tensors")
    flat = mean.detach().flatten().to(torch.float64), var.detach().flatten().to(torch.float64)
    chunks = zip(*(column.split(_CHANNELS_AT_ONCE) for column in flat), strict=True)
    table = torch.cat([_integrate_chunk(function, m, v, kinks) for m, v in chunks])
    first, second, cross = table.to(mean.dtype).T.reshape(3, *mean.shape)
    return first, second, cross


def _integrate_chunk(
    function: _Function, mean: Tensor, var: Tensor, kinks: Sequence[float]
) -> Tensor:
    """E f, Var f and Cov(x, f), `(channels, 3)` float64; NaN where they cannot be had."""
    known = mean.isfinite() & var.isfinite()
    center = torch.where(known, mean, 0.0)
    sd = torch.where(known, var, 0.0).sqrt()
    # Everything is integrated relative to f(mean): no digits are lost to a large constant part.
    origin = _apply(function, center.clone())  # a copy: the function may write in place

    def rule(channel: Tensor, low: Tensor, high: Tensor) -> Tensor:
        z, weight = _nodes(low, high)
        x = center[channel, None] + sd[channel, None] * z
        return _panel_integrals(_apply(function, x) - origin[channel, None], z, weight)

    total = _settle(rule, _first_panels(center, sd, kinks), center, sd, origin)
    first, second, cross = total[:, 0], total[:, 1], total[:, 2]
    result = torch.stack(
        [origin + first, (second - first.square()).clamp(min=0), sd * cross], dim=1
    )
    still = torch.stack([origin, torch.zeros_like(sd), torch.zeros_like(sd)], dim=1)
    result = torch.where((sd == 0)[:, None], still, result)
    lost = ~known | _is_cut_off(function, center, sd, origin, second)
    return torch.where(lost[:, None], math.nan, result)


def _settle(
    rule: _Rule,
    panels: tuple[Tensor, Tensor, Tensor],
    center: Tensor,
    sd: Tensor,
    origin: Tensor,
) -> Tensor:
    """The integrals of all panels, summed by channel, halving those that have not settled."""
    channel, low, high = panels
    coarse = rule(channel, low, high)
    total = coarse.new_zeros(len(center), coarse.shape[1]).index_add_(0, channel, coarse)
    size = origin.abs()
    tolerance = torch.full_like(center, _TOLERANCE)
    for _ in range(_MAX_ROUNDS):
        middle = (low + high) / 2
        halves = rule(channel, low, middle), rule(channel, middle, high)
        fine = halves[0] + halves[1]
        total.index_add_(0, channel, fine - coarse)
        change, floor, scale = _compare(fine, coarse, total[channel], size[channel])
        rough = (change > tolerance[channel, None] * scale + floor).any(1)
        # Rounding of x = mean + σz makes steps of this width out of any function.
        x_size = center[channel].abs() + sd[channel] * torch.maximum(low.abs(), high.abs())
        rough &= sd[channel] * (high - low) > 8 * _EPS * x_size
        if not bool(rough.any()):
            return total
        channel = channel[rough].repeat(2)
        low, high = (
            torch.cat([low[rough], middle[rough]]),
            torch.cat([middle[rough], high[rough]]),
        )
        coarse = torch.cat([half[rough] for half in halves])
        crowded = torch.bincount(channel, minlength=len(center)) > _MAX_PANELS
        tolerance = torch.where(crowded, 100 * tolerance, tolerance)
        size = torch.where(tolerance > _SUSPECT, origin.abs() + center.abs() + 9 * sd, size)
        if bool((tolerance > _HOPELESS).any()):
            break
    raise UsageError(
        "the integral of the function does not settle; pass an elementwise function without "
        "randomness (a Dropout inside it counts), one that a computer can resolve"
    )


def _compare(
    fine: Tensor, coarse: Tensor, total: Tensor, size: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """By how much halving changed ∫f, ∫f², ∫zf; how much of it is rounding; how large they are."""
    change = (fine - coarse)[:, :3].abs()
    # f − f(mean) is known to ε·size only; its square feels that twice.
    noise = 16 * _EPS * size
    floor = torch.stack(
        [noise * fine[:, 5], noise * (fine[:, 3] + noise * fine[:, 5]), noise * fine[:, 6]], dim=1
    )
    scale = torch.stack([total[:, 3], total[:, 1], total[:, 4]], dim=1)
    return change, floor, scale


def _panel_integrals(f: Tensor, z: Tensor, weight: Tensor) -> Tensor:
    """∫f, ∫f², ∫zf, ∫|f|, ∫|zf|, ∫1, ∫|z| over each panel, `(panels, 7)`."""
    plain = weight * f
    # √weight goes in before squaring: for exp, f² overflows where f²·weight does not.
    square = (weight.sqrt() * f).square()
    cross = z * plain
    columns = (plain, square, cross, plain.abs(), cross.abs(), weight, weight * z.abs())
    return torch.stack([column.sum(1) for column in columns], dim=1)


def _nodes(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """The z and the weight under N(0, 1) of the Gauss–Legendre points of each panel."""
    point, weight = torch.tensor(_gauss_legendre(), dtype=torch.float64, device=low.device)
    half = ((high - low) / 2)[:, None]
    z = ((high + low) / 2)[:, None] + half * point
    return z, half * weight * torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)


@cache
def _gauss_legendre() -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Points and weights on [−1, 1]: the roots of a Legendre polynomial, by Newton's method."""
    points, weights = [], []
    for i in range(_POINTS):
        x = math.cos(math.pi * (i + 0.75) / (_POINTS + 0.5))
        for _ in range(6):
            value, slope = _legendre(x)
            x -= value / slope
        points.append(x)
        weights.append(2 / ((1 - x * x) * _legendre(x)[1] ** 2))
    return tuple(points), tuple(weights)


def _legendre(x: float) -> tuple[float, float]:
    """The Legendre polynomial of degree _POINTS and its derivative at x, by the recurrence."""
    before, value = 1.0, x
    for k in range(2, _POINTS + 1):
        before, value = value, ((2 * k - 1) * x * value - (k - 1) * before) / k
    return value, _POINTS * (x * value - before) / (x * x - 1)


def _first_panels(
    center: Tensor, sd: Tensor, kinks: Sequence[float]
) -> tuple[Tensor, Tensor, Tensor]:
    """(channel, low, high) of the panels to begin with, in z."""
    fixed = torch.tensor(_CUTS, dtype=torch.float64, device=center.device)
    cuts = torch.cat([-fixed.flip(0)[:-1], fixed]).expand(len(center), -1)
    at = torch.tensor(sorted(kinks), dtype=torch.float64, device=center.device)
    # Where σ = 0 there is nothing to cut; any finite z will do.
    z_of_kinks = (at - center[:, None]) / torch.where(sd > 0, sd, 1.0)[:, None]
    cuts = torch.cat([cuts, z_of_kinks.clamp(-_REACH, _REACH)], dim=1).sort(dim=1).values
    low, high = cuts[:, :-1], cuts[:, 1:]
    channel = torch.arange(len(center), device=center.device)[:, None].expand_as(low)
    real = high > low
    return channel[real], low[real], high[real]


def _is_cut_off(
    function: _Function, center: Tensor, sd: Tensor, origin: Tensor, second: Tensor
) -> Tensor:
    """Whether f² still weighs at the end of the reach, so that the integral misses a part."""
    ends = torch.stack([center - _REACH * sd, center + _REACH * sd])
    root = math.exp(-(_REACH**2) / 4)
    left_out = (root * (_apply(function, ends) - origin)).square().sum(0)
    # Below this the whole integral is a matter of underflow, and 0 is as good an answer.
    return (left_out > 1e-12 * second) & (second > 1e-280)


@torch.no_grad()
def _apply(function: _Function, x: Tensor) -> Tensor:
    y = function(x)
    if not isinstance(y, Tensor) or y.shape != x.shape:
        got = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
        raise UsageError(
            f"the function made {got} of a tensor of shape {tuple(x.shape)}; pass an elementwise "
            "function"
        )
    return y.to(torch.float64)
