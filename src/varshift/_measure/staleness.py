"""Why stored statistics are not those of what arrives: each cause predicts them, and one that
leaves little of the difference is supported by the numbers.

`explain` and `check` both ask here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from varshift._engine import Handle, Stretch
from varshift.results import Norm, StaleCause, Staleness, Statistics

__all__ = [
    *(
        "LARGE",
        "NOTHING",
        "Arrived",
        "inherited",
        "known_momentum",
        "large_momentum",
        "looks_trained",
    ),
    "staleness_of",
]

LARGE = 0.5  # momentum from which two batches are most of the average
NOTHING = 1e-3  # of the variance that arrives: less was never stored of it
_DEFAULT = 0.1  # torch's momentum: what scatter it keeps is the batches' fault, more is its own
_EXPLAINED = 0.5  # of a squared difference, at most so much may be left by a cause
_SURELY = 0.1  # … and by one whose own figure was fitted
_SLIGHT = 0.01  # weight of the initial values that is not worth a word
_FIT = 4  # channels below which one fitted figure explains too much
_CHANCE = 4.0  # squared scatter, in terms of what is to be expected: two deviations


@dataclass(frozen=True, eq=False)
class Arrived:
    """What a norm receives in training.

    Attributes:
        mean, var: (C,) float64, the variance within batches.
        live: (C,) bool.
        scattered: variance over batches of batch means and of batch variances, (C,) each.
        series: the same batch after batch.
        eps: what the norm adds to a variance before it divides.
    """

    mean: Tensor
    var: Tensor
    live: Tensor
    scattered: Sequence[Tensor] = ()
    series: Sequence[Stretch] = ()
    eps: float = 0.0


def inherited(momentum: float | None, tracked: int, most: float = _DEFAULT) -> float:
    """Share of the scatter between batches that a running average keeps: m/(2 − m).

    Up to that of momentum `most`: more is the fault of the momentum, not of the batches.

    >>> inherited(0.1, 100) == inherited(0.9, 100), round(inherited(0.9, 100, most=1.0), 2)
    (True, 0.82)
    """
    if momentum is None:
        return 1 / tracked if tracked else 0.0
    held = min(_DEFAULT if math.isnan(momentum) else momentum, most)
    return held / (2 - held)


def known_momentum(momentum: float | None) -> float:
    """The momentum of an exponential average; 0 of any other, and where nobody knows it."""
    return 0.0 if momentum is None or math.isnan(momentum) else momentum


def large_momentum(momentum: float) -> str:
    """What to say of a momentum of at least `LARGE`, whatever the statistics are by chance."""
    return (
        f"momentum {momentum:g} keeps little but the last batch (what other frameworks call "
        f"{momentum:g} is {1 - momentum:.2g} here)"
    )


def looks_trained(handle: Handle, others: Iterable[Handle]) -> bool:
    """Whether the weights show that a norm was trained, though its statistics may not.

    Its bias has moved, or it has counted batches. Without a bias of its own, another norm's has.
    """
    own = _moved(handle)
    return any(_moved(other) for other in others) if own is None else own


def staleness_of(norm: Norm, stored: Statistics, arrived: Arrived, *, trained: bool) -> Staleness:
    """The cause that the numbers support, with its figures."""
    apart = _apart(stored, arrived, arrived.mean, arrived.var)
    steps = 0 if norm.momentum is not None and math.isnan(norm.momentum) else stored.count
    made = Staleness(
        StaleCause.UNKNOWN,
        norm.momentum,
        steps,
        initial=(1 - (norm.momentum or 0.0)) ** steps if steps and norm.momentum else 0.0,
        apart=math.sqrt(apart),
        batches=sum(stretch.batches for stretch in arrived.series),
        trained=trained,
    )
    certain = _certain(norm, stored)
    if certain is not None:
        return replace(made, cause=certain, initial=float(certain is StaleCause.NEVER_UPDATED))
    for found, share in _supported(made, stored, arrived):
        assert found.left is not None
        if found.left**2 <= share * apart:
            return found
    return made


def _certain(norm: Norm, stored: Statistics) -> StaleCause | None:
    """Causes that are there to be read, whatever arrives."""
    if norm.frozen:
        return StaleCause.FROZEN
    if stored.untouched or norm.momentum == 0:
        return StaleCause.NEVER_UPDATED
    return StaleCause.FROM_THE_START if norm.momentum is None else None


def _supported(
    made: Staleness, stored: Statistics, arrived: Arrived
) -> Iterator[tuple[Staleness, float]]:
    """Each cause with what it leaves, the simplest first, and what share of a square it may."""
    if made.initial >= _SLIGHT:
        left = _initial(stored, arrived, torch.tensor([made.initial], device="cpu"))
        yield replace(made, cause=StaleCause.FEW_STEPS, left=float(left[0].sqrt())), _EXPLAINED
    yield from _of_batches(made, stored, arrived)
    if int(arrived.live.sum()) >= _FIT:
        yield from _fitted(made, stored, arrived)


def _fitted(
    made: Staleness, stored: Statistics, arrived: Arrived
) -> Iterator[tuple[Staleness, float]]:
    """Causes with a figure of their own: the one that fits while the other does not."""
    scale, by_scale = _best(lambda scales: _scaled(stored, arrived, scales.exp()), -3.0, 3.0)
    weight, by_weight = _best(lambda weights: _initial(stored, arrived, weights), 0.01, 0.99)
    scaled = replace(
        made,
        cause=StaleCause.OTHER_SCALE,
        scale=math.exp(scale),
        left=math.sqrt(by_scale),
    )
    weighted = replace(made, cause=StaleCause.FEW_STEPS, initial=weight, left=math.sqrt(by_weight))
    # Where both fit, as with channels all alike, the numbers tell neither.
    fits = _SURELY * made.apart**2
    if by_scale > max(fits, _CHANCE * by_weight):
        yield weighted, _SURELY
    elif by_weight > max(fits, _CHANCE * by_scale):
        yield scaled, _SURELY


def _best(squares: Callable[[Tensor], Tensor], low: float, high: float) -> tuple[float, float]:
    """The value between two that leaves least, and what it leaves: a grid, and a finer one."""
    for _ in range(2):
        tried = torch.linspace(low, high, 301, dtype=torch.float64, device="cpu")
        left = squares(tried)
        at, step = int(left.argmin()), (high - low) / 300
        low, high = max(low, float(tried[at]) - step), min(high, float(tried[at]) + step)
    return float(tried[at]), float(left[at])


def _of_batches(
    made: Staleness, stored: Statistics, arrived: Arrived
) -> Iterator[tuple[Staleness, float]]:
    """A running average over the data as given, and what its momentum keeps of the scatter."""
    momentum = known_momentum(made.momentum)
    large = StaleCause.LARGE_MOMENTUM
    if momentum > _DEFAULT and arrived.scattered:
        mean, var = arrived.scattered
        unit = _unit(stored, arrived)
        square = _over(mean / unit + var / unit.square() / 4, arrived.live)
        expected = inherited(momentum, made.steps, most=1.0) * square
        # Within two deviations of what it is to keep, there is nothing else to be explained.
        if made.apart**2 <= _CHANCE * expected:
            yield replace(made, cause=large, left=0.0), _EXPLAINED
    if momentum and len(arrived.series) > 1:
        cause = large if momentum >= LARGE else StaleCause.LAST_BATCHES
        for alone in (False, True):
            averages = (
                [(s.mean, s.var) for s in arrived.series]
                if alone
                else _running(arrived.series, momentum)
            )
            squares = [_apart(stored, arrived, *average) for average in averages]
            best = min(range(len(squares)), key=squares.__getitem__)
            batch = sum(stretch.batches for stretch in arrived.series[: best + 1])
            left = math.sqrt(squares[best])
            found = replace(made, cause=cause, left=left, batch=batch, alone=alone)
            yield found, _EXPLAINED / 2


def _running(series: Sequence[Stretch], momentum: float) -> Iterator[tuple[Tensor, Tensor]]:
    """The running average after each stretch, as if it had begun with the first."""
    mean = var = None
    for stretch in series:
        kept = (1 - momentum) ** stretch.batches
        if mean is None or var is None:
            mean, var = stretch.mean, stretch.var
        else:
            mean = kept * mean + (1 - kept) * stretch.mean
            var = kept * var + (1 - kept) * stretch.var
        yield mean, var


def _initial(stored: Statistics, arrived: Arrived, weights: Tensor) -> Tensor:
    """Squared difference if mean 0 and variance 1 still had each of these weights."""
    weight = weights.double()[:, None]
    mean, var = (1 - weight) * arrived.mean, weight + (1 - weight) * arrived.var
    return _squares(stored, arrived, mean, var)


def _scaled(stored: Statistics, arrived: Arrived, scales: Tensor) -> Tensor:
    """Squared difference if what arrives were each of these times what was stored."""
    scale = scales[:, None]
    return _squares(stored, arrived, arrived.mean / scale, arrived.var / scale.square())


def _apart(stored: Statistics, arrived: Arrived, mean: Tensor, var: Tensor) -> float:
    """Squared difference of what is stored from these, (C,) each."""
    return float(_squares(stored, arrived, mean[None], var[None])[0])


def _squares(stored: Statistics, arrived: Arrived, mean: Tensor, var: Tensor) -> Tensor:
    """Of each row, (R, C) to (R,): mean shift in stored deviations, half the log variance ratio."""
    unit = _unit(stored, arrived)
    moved = (mean - stored.mean).square() / unit
    log = ((var + arrived.eps).clamp(min=1e-300) / unit).log()
    return _over(moved + log.square() / 4, arrived.live)


def _unit(stored: Statistics, arrived: Arrived) -> Tensor:
    """What the norm divides by, squared: (C,)."""
    return (stored.var + arrived.eps).clamp(min=1e-300)


def _over(values: Tensor, live: Tensor) -> Tensor:
    """Mean over live channels, the last dimension; 0 where none is."""
    if not bool(live.any()):
        return values.new_zeros(values.shape[:-1])
    return values[..., live].nan_to_num(0.0).mean(-1)


def _moved(handle: Handle) -> bool | None:
    counted = getattr(handle.module, "num_batches_tracked", None)
    if isinstance(counted, Tensor) and int(counted) > 0:
        return True
    bias = getattr(handle.module, "bias", None)
    return bool((bias != 0).any()) if isinstance(bias, Tensor) else None
