"""How far something moves what a place receives: its mean in deviations, and its log variance."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from varshift._explain.figures import figure_of, root_mean_square, square_error_of
from varshift._explain.spread import Spread
from varshift.results import Figure

__all__ = ["Move", "move"]


@dataclass(frozen=True, eq=False)
class Move:
    """What a cause does per channel: mean shift in deviations and log variance ratio, (1 + G, C)
    each, with what their sampling errors make of the squares, (C,).

    `own`: between other samples, the same with rows of the groups of those that it leads to.
    """

    mean: Tensor
    log: Tensor
    mean_error: Tensor
    log_error: Tensor
    own: Move | None = None

    def raw(self, live: Tensor) -> Tensor:
        """Mean over live channels of the squared displacement: (1 + G,)."""
        return (self.mean.square() + self.log.square() / 4)[:, live].mean(1)

    def square(self, live: Tensor) -> Tensor:
        """The same, what errors make of it taken off."""
        return self.raw(live) - (self.mean_error + self.log_error / 4)[live].mean()

    def displacement(self, live: Tensor, square: Tensor | None = None) -> Figure:
        """Its root, or that of what is left of it in `square`; 0 where no channel is live."""
        if not bool(live.any()):
            return Figure(0.0, 0.0)
        own = None if self.own is None else self.own.square(live).clamp(min=0).sqrt()
        return figure_of((self.square(live) if square is None else square).clamp(min=0).sqrt(), own)

    def mean_shift(self, live: Tensor) -> Figure:
        """That of the mean alone."""
        own = None if self.own is None else self.own.mean
        return root_mean_square(self.mean, self.mean_error, live, own)


def move(to: Spread, start: Spread, unit: Tensor, *, apart: bool = False) -> Move:
    """From one to the other, means in units of `unit` (C,).

    `apart`: of other samples, so that the two errors add and each has rows of its own.
    """
    if not apart:
        return _between(to, start, unit)
    ours, theirs = _between(_whole(to), start, unit), _between(to, _whole(start), unit)
    errors = ours.mean_error + theirs.mean_error, ours.log_error + theirs.log_error
    return Move(ours.mean, ours.log, *errors, Move(theirs.mean, theirs.log, *errors))


def _between(to: Spread, start: Spread, unit: Tensor) -> Move:
    mean, log = (to.mean - start.mean) / unit, to.var.log() - start.var.log()
    return Move(mean, log, square_error_of(mean), square_error_of(log))


def _whole(spread: Spread) -> Spread:
    """Without the rows that leave a group out."""
    return Spread(spread.mean[:1], spread.var[:1])
