"""From what a site received in each lane to its factors and displacements, each with its error."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from varshift._engine import rounding
from varshift._explain.figures import error_of, figure_of, root_mean_square
from varshift._explain.spread import Spread
from varshift.results import Factors, Figure
from varshift.results.explanation import CAUSES, Cause

__all__ = ["SiteLanes", "factors_of"]

_FACTORS = {
    "total": ("data", "stored"),
    "noise": ("test", "train"),
    "staleness": ("train", "stored"),
    "data": ("data", "test"),
    "alone": ("clean", "noisy"),
    "batches": ("noisy", "train"),
    "carried": ("test", "clean"),
    "composition": ("train", "within"),
    "age": ("within", "stored"),
}


@dataclass(frozen=True, eq=False)
class SiteLanes:
    """What one site received, lane by lane; the means of `within` are those of `train`.

    `inherited`: variance that the moving average keeps of the scatter between batches, of the mean
    and of the variance, (C,) each. `precision`: of the numbers, for telling dead channels.
    """

    path: str
    stored: Spread
    within: Spread
    train: Spread
    noisy: Spread
    clean: Spread
    test: Spread
    data: Spread | None
    inherited: tuple[Tensor, Tensor]
    precision: float


@dataclass(frozen=True, eq=False)
class _Move:
    """What a cause does per channel: mean shift in stored deviations and log variance ratio,
    (1 + G, C) each, with what their sampling errors make of the squares, (C,).
    """

    mean: Tensor
    log: Tensor
    mean_error: Tensor
    log_error: Tensor

    def square(self, live: Tensor) -> Tensor:
        """Mean over live channels of the squared displacement, errors taken off: (1 + G,)."""
        raw = self.mean.square() + self.log.square() / 4
        error = self.mean_error + self.log_error / 4
        return raw[:, live].mean(1) - error[live].mean()


def factors_of(lanes: SiteLanes) -> Factors:
    """The finished record of one site."""
    live = _live(lanes)
    figures, channels = {}, {}
    for name, (over, under) in _FACTORS.items():
        logs = _log_ratio(lanes, over, under)
        values = [
            row[live].mean() if bool(live.any()) else row.new_tensor(torch.nan) for row in logs[0]
        ]
        apart = torch.stack([row[live].mean() for row in logs[1]]) if bool(live.any()) else None
        figures[name] = _figure(torch.stack(values), apart)
        channels[name] = torch.where(live, logs[0][0].exp(), torch.nan)
    moves = _moves(lanes)
    return Factors(
        path=lanes.path,
        **figures,
        displacement=_displacements(lanes, moves, live),
        mean_shift={
            cause: root_mean_square(moves[cause].mean, moves[cause].mean_error, live)
            for cause in CAUSES
        },
        channels=channels,
        live=live,
    )


def _live(lanes: SiteLanes) -> Tensor:
    """Channels that vary beyond the rounding of their own mean in every lane."""
    seen = [lanes.train, lanes.noisy, lanes.clean, lanes.test, lanes.data or lanes.test]
    varies = [s.var[0] > rounding(s.mean[0], lanes.precision) for s in seen]
    return torch.stack([*varies, lanes.stored.var[0] > 0]).all(0)


def _lane(lanes: SiteLanes, name: str) -> Spread:
    lane: Spread | None = getattr(lanes, name)
    return lanes.test if lane is None else lane


def _log_ratio(lanes: SiteLanes, over: str, under: str) -> tuple[Tensor, Tensor]:
    """log(over ÷ under): rows of the training batches' groups, and rows of the test data's own."""
    one, other = _lane(lanes, over), _lane(lanes, under)
    alone = over == "data" and lanes.data is not None
    first = one.var[:1].log() - other.var.log() if alone else one.var.log() - other.var.log()
    apart = one.var.log() - other.var[:1].log() if alone else first[:1]
    return first, apart


def _figure(logs: Tensor, apart: Tensor | None) -> Figure:
    value = float(logs[0].exp())
    square = error_of(logs).square()
    if apart is not None and len(apart) > 1:
        square = square + error_of(apart).square()
    return Figure(value, value * float(square.sqrt()))


def _moves(lanes: SiteLanes) -> dict[str, _Move]:
    data = lanes.data or lanes.test
    apart = lanes.data is not None
    return {
        "noise": _move(lanes, lanes.clean, lanes.noisy),
        "staleness": _move(lanes, lanes.within, lanes.stored),
        "small-batch": _move(lanes, lanes.noisy, lanes.train),
        "data": _move(lanes, data, lanes.test, apart=apart),
        "composition": _move(lanes, lanes.train, lanes.within),
    }


def _move(lanes: SiteLanes, to: Spread, start: Spread, *, apart: bool = False) -> _Move:
    """`apart`: of other samples, so that the two errors add and each has rows of its own."""
    unit = lanes.stored.var[0].clamp(min=1e-300).sqrt()
    end = Spread(to.mean[:1], to.var[:1]) if apart else to
    mean, log = (end.mean - start.mean) / unit, end.var.log() - start.var.log()
    mean_error, log_error = error_of(mean).square(), error_of(log).square()
    if apart:
        mean_error = mean_error + error_of(to.mean / unit).square()
        log_error = log_error + error_of(to.var.log()).square()
    return _Move(mean, log, mean_error, log_error)


def _displacements(lanes: SiteLanes, moves: dict[str, _Move], live: Tensor) -> dict[Cause, Figure]:
    """Displacement by cause.

    What the moving average inherits of the scatter between batches is the fault of small batches,
    not of age.
    """
    if not bool(live.any()):
        return {cause: Figure(0.0, 0.0) for cause in CAUSES}
    squares = {name: move.square(live) for name, move in moves.items()}
    mean, var = lanes.inherited
    stored = lanes.stored.var[0]
    inherited = (mean / stored + var / stored.square() / 4).nan_to_num(0.0)[live].mean()
    of_batches = squares["small-batch"].clamp(min=0) + squares["composition"].clamp(min=0)
    by_cause: dict[Cause, Tensor] = {
        "noise": squares["noise"],
        "staleness": squares["staleness"] - inherited,
        "small-batch": of_batches + inherited,
        "data": squares["data"],
    }
    return {cause: figure_of(by_cause[cause].clamp(min=0).sqrt()) for cause in CAUSES}
