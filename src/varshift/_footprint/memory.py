"""What a norm stores, and how many batches it remembers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from varshift._counting import counted
from varshift.errors import UsageError

__all__ = ["Memory", "Momentum", "check_momentum", "remembered"]

Momentum = float | Literal["unknown"] | None

_USUAL = 0.1  # torch's own momentum
_MOST_LEFT = 0.05  # of the first value, 1, still in the average


@dataclass(frozen=True, eq=False)
class Memory:
    """Stored statistics, (C,) float64, and the sum of squared weights of the batches in them.

    `share` is None where nobody knows it. `supposed`: the momentum they were taken with is not
    known, and torch's own is supposed.
    """

    mean: Tensor
    var: Tensor
    share: float | None
    supposed: bool = False


def remembered(norm: nn.Module, told: Momentum = None) -> Memory | str:
    """The memory of a BatchNorm, or the reason why it has none.

    `told` is the momentum that it was trained with, where the module no longer knows: torch's, the
    weight of the new batch (1 minus that of Keras). "unknown": the scatter of channels must tell.

    An exponential average of momentum m weighs batch k before the last by m(1 − m)^k: the squares
    sum to m/(2 − m), 1/19 at m = 0.1. The 1 that every running variance starts with is taken out.
    """
    mean, var = _wide(norm, "running_mean"), _wide(norm, "running_var")
    if bool((mean == 0).all() and (var == 1).all()):
        return "still holds the statistics it was made with (mean 0, variance 1): not trained"
    if told == "unknown":
        return Memory(mean, var, None)
    if told is not None:
        return Memory(mean, var, told / (2 - told))
    momentum = getattr(norm, "momentum", 0.1)
    tracked = getattr(norm, "num_batches_tracked", None)
    count = 0 if tracked is None else int(tracked)
    if momentum is None:
        return (
            Memory(mean, var, 1 / count)
            if count
            else "it averages all batches, but has counted none"
        )
    if momentum == 0:  # what it holds came from elsewhere: a file converted, or frozen since
        return Memory(mean, var, _USUAL / (2 - _USUAL), supposed=True)
    if not count:  # an old checkpoint without the counter: taken for a long training
        return Memory(mean, var, momentum / (2 - momentum))
    left = (1 - momentum) ** count
    if left > _MOST_LEFT:
        return (
            f"has tracked {counted(count, 'batch')}: {100 * left:.0f} % of its statistics is still "
            "the value it was made with"
        )
    share = momentum / (2 - momentum) * (1 + left) / (1 - left)
    return Memory(mean / (1 - left), (var - left) / (1 - left), share)


def _wide(norm: nn.Module, name: str) -> Tensor:
    tensor: Tensor = getattr(norm, name)
    return tensor.detach().double().cpu().clone()


def check_momentum(momentum: Momentum) -> None:
    """Refuses what is no momentum before anything runs."""
    if momentum is None or momentum == "unknown":
        return
    if isinstance(momentum, str) or not 0 < momentum <= 1:
        raise UsageError(
            f"momentum is {momentum!r}; pass torch's, the weight of the new batch, above 0 and at "
            'most 1 (0.01 for a Keras momentum of 0.99), or "unknown"'
        )
