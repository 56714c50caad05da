"""How far something moves what a place receives: its mean in deviations, and its log variance."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from varshift._explain.figures import error_of, figure_of, root_mean_square
from varshift._explain.spread import Spread
from varshift.results import Figure

__all__ = ["Move", "move"]


@dataclass(frozen=True, eq=False)
class Move:
    """What a cause does per channel: mean shift in deviations and log variance ratio, (1 + G, C)
    each, with what their sampling errors make of the squares, (C,).
    """

    mean: Tensor
    log: Tensor
    mean_error: Tensor
    log_error: Tensor

    def raw(self, live: Tensor) -> Tensor:
        """Mean over live channels of the squared displacement: (1 + G,)."""
        return (self.mean.square() + self.log.square() / 4)[:, live].mean(1)

    def square(self, live: Tensor) -> Tensor:
        """The same, what errors make of it taken off."""
        return self.raw(live) - (self.mean_error + self.log_error / 4)[live].mean()

    def displacement(self, live: Tensor) -> Figure:
        """Its root; 0 where no channel is live."""
        if not bool(live.any()):
            return Figure(0.0, 0.0)
        return figure_of(self.square(live).clamp(min=0).sqrt())

    def mean_shift(self, live: Tensor) -> Figure:
        """That of the mean alone."""
        return root_mean_square(self.mean, self.mean_error, live)


def move(to: Spread, start: Spread, unit: Tensor, *, apart: bool = False) -> Move:
    """From one to the other, means in units of `unit` (C,).

    `apart`: of other samples, so that the two errors add and each has rows of its own.
    """
    end = Spread(to.mean[:1], to.var[:1]) if apart else to
    mean, log = (end.mean - start.mean) / unit, end.var.log() - start.var.log()
    mean_error, log_error = error_of(mean).square(), error_of(log).square()
    if apart:
        mean_error = mean_error + error_of(to.mean / unit).square()
        log_error = log_error + error_of(to.var.log()).square()
    return Move(mean, log, mean_error, log_error)
